"""A small TrainingRun, of which tables of TrainingRuns are made."""

from __future__ import annotations

from functools import partial
from typing import Any

from support.cases import Case, Document

SMALL: Document = {
    "apiVersion": "lightcompute.dev/v1alpha1",
    "kind": "TrainingRun",
    "metadata": {"name": "baseline"},
    "spec": {
        "training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100},
        "budget": {"limitUSD": "20.00"},
    },
}
run_case = partial(Case, base=SMALL)


def a_volume(**parts: Any) -> Document:
    """A claim as a folder."""
    return {"name": "texts", "claimName": "texts", "mountPath": "/data"} | parts
