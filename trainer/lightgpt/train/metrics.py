"""`metrics.csv`: one row for each reported step, at a pace that depends on the order alone.

Values are written with all their digits, so that equal runs give equal bytes; what a clock had a part in stands in the last
columns (`runcontract.metrics`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lightgpt.train.journal import Journal
from runcontract.folder import METRICS
from runcontract.losses import Loss
from runcontract.metrics import COLUMNS

MOST_ROWS = 1000
"""Rows of a run come out at no more than about this many, whatever its length."""


def row_interval(max_steps: int) -> int:
    """Steps from one row to the next."""
    return max(1, max_steps // MOST_ROWS)


def open_metrics(folder: Path, *, resumed_step: int) -> Journal:
    """The file in `folder` without the rows after `resumed_step`; raises `StorageFault`."""
    header = ",".join(COLUMNS)

    def is_before(line: str) -> bool:
        step = line.split(",", 1)[0]
        return line.count(",") == len(COLUMNS) - 1 and step.isdigit() and int(step) <= resumed_step

    return Journal(folder / METRICS, header=header, keep=is_before)


def metrics_row(values: Mapping[str, float | int | None]) -> str:
    """One line of the file; a column that `values` has nothing for stays empty."""
    unknown = values.keys() - set(COLUMNS)
    assert not unknown, f"no such columns: {unknown}"
    return ",".join(_text(values.get(column)) for column in COLUMNS)


def loss_columns(part: str, loss: Loss | None) -> dict[str, float | None]:
    """The three columns of `part` ("training" or "validation")."""
    return {
        f"{part}_loss_nats_per_token": loss.nats_per_token if loss else None,
        f"{part}_loss_nats_per_character": loss.nats_per_character if loss else None,
        f"{part}_loss_bits_per_byte": loss.bits_per_byte if loss else None,
    }


def _text(value: float | None) -> str:
    return "" if value is None else repr(value)
