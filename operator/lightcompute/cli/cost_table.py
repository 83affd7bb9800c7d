"""Costs of many runs as a table: by run, namespace or calendar period, as text for people and as CSV and JSON for programs. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Literal

from lightcompute.api.money import MicroUSD, format_usd
from lightcompute.cli import text
from lightcompute.cli.target import Listed
from lightcompute.core.period import Span, periods
from lightcompute.core.spending import Spent, spent_by

Grouping = Literal["run", "namespace", "day", "week", "month"]
Form = Literal["text", "csv", "json"]
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_KEYS: dict[Grouping, tuple[str, ...]] = {
    "run": ("namespace", "run", "phase"),
    "namespace": ("namespace",),
    "day": ("period",),
    "week": ("period",),
    "month": ("period",),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be counted: charges from `since` up to and without `until`, put together `by`, days by the clock of `zone`."""

    by: Grouping
    zone: tzinfo
    since: datetime | None = None
    until: datetime | None = None


@dataclass(kw_only=True)
class Row:
    """One line: what runs of this key held and cost."""

    key: tuple[str, ...]
    runs: int = 0
    held: timedelta = timedelta()
    cost: MicroUSD = 0


def cost_rows(listed: Iterable[Listed], question: Question) -> list[Row]:
    """A row for each key, by key. A run without any charge counts as itself, and in no period."""
    rows: dict[tuple[str, ...], Row] = {}
    for each in listed:
        if each.sight is None:
            continue
        mine: dict[tuple[str, ...], Row] = {}
        if question.by in {"run", "namespace"}:
            key = _key(each, question.by)
            mine[key] = Row(key=key)
        for key, part in _parts(each, question):
            row = mine.setdefault(key, Row(key=key))
            row.held += part.held
            row.cost += part.cost
        for key, row in mine.items():
            whole = rows.setdefault(key, Row(key=key))
            whole.runs += 1
            whole.held += row.held
            whole.cost += row.cost
    return [rows[key] for key in sorted(rows)]


def shown(rows: list[Row], by: Grouping, form: Form) -> str:
    """The table in `form`; text ends with the sum."""
    match form:
        case "json":
            return json.dumps([_document(row, by) for row in rows], indent=1)
        case "csv":
            return _csv(rows, by)
        case "text":
            return _text(rows, by)


def _parts(listed: Listed, question: Question) -> Iterator[tuple[tuple[str, ...], Spent]]:
    assert listed.sight is not None
    since, until = question.since or _FIRST, question.until or _LAST
    for spent in spent_by(listed.sight.run.status, listed.sight.now):
        part = spent.within(since, until)
        if part is None:
            continue
        if question.by in {"run", "namespace"}:
            yield _key(listed, question.by), part
            continue
        for period in periods(part.start, part.end, Span(question.by), question.zone):
            piece = part.within(period.start, period.end)
            if piece is not None:
                yield (period.label,), piece


def _key(listed: Listed, by: Grouping) -> tuple[str, ...]:
    assert listed.sight is not None
    if by == "namespace":
        return (listed.namespace,)
    return (listed.namespace, listed.name, str(listed.sight.run.status.phase))


def _document(row: Row, by: Grouping) -> dict[str, object]:
    return {
        **dict(zip(_KEYS[by], row.key, strict=True)),
        "runs": row.runs,
        "heldSeconds": round(row.held.total_seconds(), 3),
        "costUSD": format_usd(row.cost),
    }


def _csv(rows: list[Row], by: Grouping) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(
        file, (*_KEYS[by], "runs", "heldSeconds", "costUSD"), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(_document(row, by) for row in rows)
    return file.getvalue().rstrip("\n")


def _text(rows: list[Row], by: Grouping) -> str:
    names = _KEYS[by]
    # A namespace that all have, or that a laptop has none of, tells nothing.
    hidden = by == "run" and len({row.key[0] for row in rows}) < 2
    first = 1 if hidden else 0
    counted = () if by == "run" else ("RUNS",)
    header = (*(name.upper() for name in names[first:]), *counted, "HELD", "COST")
    lines = [
        (
            *row.key[first:],
            *((str(row.runs),) if counted else ()),
            text.duration(row.held.total_seconds()),
            text.usd(row.cost),
        )
        for row in rows
    ]
    held = sum((row.held for row in rows), timedelta())
    total = (
        "total",
        *([""] * (len(header) - 3)),
        text.duration(held.total_seconds()),
        text.usd(sum(row.cost for row in rows)),
    )
    return text.columns(header, [*lines, total])
