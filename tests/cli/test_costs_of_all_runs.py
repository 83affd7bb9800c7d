"""`lightcompute cost` without a name: a table over runs, namespaces and periods, for people and for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lightcompute.api.status import Charge
from lightcompute.cli.cost_table import Question, cost_rows, shown
from lightcompute.cli.target import Listed, Sight
from lightcompute.testing.builders import a_run, an_attempt
from support.local_runs import LocalRun

NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def listed(namespace: str, name: str, *hours: tuple[float, float], dollars: int = 2) -> Listed:
    """A run that was charged from so many hours before the new year to so many after it."""
    attempts = [
        an_attempt(
            number,
            charges=(
                Charge(
                    start_time=NEW_YEAR + timedelta(hours=first),
                    end_time=NEW_YEAR + timedelta(hours=last),
                    rate_per_hour_usd=dollars * 1_000_000,
                ),
            ),
        )
        for number, (first, last) in enumerate(hours, 1)
    ]
    run = a_run().with_metadata(name=name, namespace=namespace).with_attempts(*attempts).build()
    return Listed(namespace=namespace, name=name, sight=Sight(run=run, now=NEW_YEAR))


RUNS = (
    listed("team-a", "first", (-3, -1), (-0.5, 1.5)),
    listed("team-a", "second", (1, 2)),
    listed("team-b", "third"),
    Listed(namespace="team-b", name="broken", sight=None),
)


def table(by: Any, **more: Any) -> dict[tuple[str, ...], tuple[int, int]]:
    rows = cost_rows(RUNS, Question(by=by, zone=UTC, **more))
    return {row.key: (row.runs, row.cost) for row in rows}


def test_costs_are_put_together_by_run_namespace_and_month() -> None:
    assert table("run") == {
        ("team-a", "first", "Running"): (1, 8_000_000),
        ("team-a", "second", "Running"): (1, 2_000_000),
        ("team-b", "third", "Running"): (1, 0),
    }
    assert table("namespace") == {("team-a",): (2, 10_000_000), ("team-b",): (1, 0)}
    assert table("month") == {("2026-12",): (1, 5_000_000), ("2027-01",): (2, 5_000_000)}
    assert table("day") == {("2026-12-31",): (1, 5_000_000), ("2027-01-01",): (2, 5_000_000)}


def test_only_what_was_charged_between_two_moments_is_counted() -> None:
    within = {"since": NEW_YEAR, "until": NEW_YEAR + timedelta(hours=1)}
    assert table("namespace", **within) == {("team-a",): (2, 2_000_000), ("team-b",): (1, 0)}


def test_programs_get_exact_amounts_and_seconds() -> None:
    rows = cost_rows(RUNS, Question(by="namespace", zone=UTC))
    expected = [
        {"namespace": "team-a", "runs": 2, "heldSeconds": 18000.0, "costUSD": "10.00"},
        {"namespace": "team-b", "runs": 1, "heldSeconds": 0.0, "costUSD": "0.00"},
    ]
    assert json.loads(shown(rows, "namespace", "json")) == expected
    read = list(csv.DictReader(io.StringIO(shown(rows, "namespace", "csv"))))
    assert read == [{key: str(value) for key, value in each.items()} for each in expected]


def test_people_get_a_sum_and_no_column_that_says_nothing() -> None:
    mine = [each for each in RUNS if each.namespace == "team-a"]
    rows = cost_rows(mine, Question(by="run", zone=UTC))
    lines = shown(rows, "run", "text").splitlines()
    assert lines[0].split() == ["RUN", "PHASE", "HELD", "COST"]
    assert lines[-1].split() == ["total", "5", "h", "00", "min", "$10.00"]
    assert shown(cost_rows(RUNS, Question(by="run", zone=UTC)), "run", "text").startswith(
        "NAMESPACE"
    )
    assert shown([], "month", "text").splitlines()[-1].split() == ["total", "0", "s", "$0.00"]


@pytest.mark.slow
def test_the_command_counts_the_runs_of_this_machine(
    local_run: Callable[..., LocalRun],
) -> None:
    run = local_run()
    code, said = run.call(verb="cost", subject="--runs-dir=runs")
    assert (code, said.split()[-1]) == (0, "$0.00")
    for options, told in (
        (("nobody", "--by", "day"), "leave NAME out"),
        (("--json",), "give its NAME, or --output json"),
        (("--since", "yesterday"), "no date or time such as"),
        (("--time-zone", "Mars/Base"), "no time zone such as UTC"),
    ):
        code, said = run.call("--runs-dir=runs", *options[1:], verb="cost", subject=options[0])
        assert code == 2, said
        assert told in said
