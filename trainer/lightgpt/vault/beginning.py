"""From where the machines of one attempt go on: told by the first of them in the attempt's lock, read by the others."""

from __future__ import annotations

from pydantic import Field

from runcontract.base import ReportModel
from runcontract.bounds import Count

MOST_BYTES = 1024


class Beginning(ReportModel):
    """What a lock says once that machine has looked; before, it is empty."""

    resumed_from_step: Count | None = Field(description="Step of the checkpoint; null for none.")
