"""The table of the places of a round, best first: what a run costs there, and why it goes there or not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lightcompute.api.status import Candidate, Place
from lightcompute.cli import text
from lightcompute.core.estimate import Basis, Estimate
from lightcompute.core.text import span

_MARKS = {Basis.MEASURED: "measured", Basis.ROUGH_MODEL: "rough"}


def places_table(
    candidates: Iterable[Candidate], expected: Mapping[Place, Estimate] | None = None
) -> str:
    """A line for each; with `expected`, what the whole run would take and cost there, and what that rests on."""
    with_estimates = expected is not None
    header = ("PLACE", "AN HOUR", *(("ABOUT", "COST") if with_estimates else ()), "REASON", "WHY")
    return text.columns(header, (_row(each, expected) for each in candidates))


def _row(candidate: Candidate, expected: Mapping[Place, Estimate] | None) -> tuple[str, ...]:
    price = text.usd(candidate.rate_per_hour_usd)
    estimates = () if expected is None else _estimated(expected.get(candidate.place))
    return (str(candidate.place), price, *estimates, candidate.reason, candidate.message)


def _estimated(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return "", ""
    time = f"{span(estimate.seconds)} ({_MARKS[estimate.basis]})"
    return time, text.usd(estimate.cost)
