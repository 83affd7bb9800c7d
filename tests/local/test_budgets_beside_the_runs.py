"""What TrainingBudgets on this machine count, whoever dies when: from the runs' own documents, and what is noted of runs that are deleted."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lightcompute.api import Reason, TrainingRun, format_usd, parse_training_run
from lightcompute.backend import Conflict, TemporaryFault
from lightcompute.core.decide import decide
from lightcompute.core.decision import DeleteRun
from lightcompute.local.backend import PRICE, LocalBackend
from lightcompute.local.books import Books
from lightcompute.local.folder import RunFolder, Runs
from lightcompute.local.store import RunStore
from runcontract.faults import ConfigurationFault
from support.budgeted_runs import NOW, a_budget, ended, put, spent, told

A_MINUTE = "0.06"
"""Cost of one, at a tenth of a cent a second."""


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def uid(folder: RunFolder) -> str:
    return RunStore(folder).read().metadata.uid


def noted(runs: Runs, folder: RunFolder) -> None:
    Books(runs).depart(uid(folder), NOW)


def no_run_any_more(runs: Runs, folder: RunFolder) -> None:
    noted(runs, folder)
    folder.run_file.unlink()


def gone(runs: Runs, folder: RunFolder) -> None:
    no_run_any_more(runs, folder)
    shutil.rmtree(folder.path)


@pytest.mark.parametrize("until", [noted, no_run_any_more, gone])
def test_wherever_a_deletion_is_cut_short_its_run_is_counted_once(runs: Runs, until: Any) -> None:
    put(runs, "other", ended())
    folder = put(runs, "run", ended())
    Books(runs).allow(a_budget(), NOW)
    until(runs, folder)
    assert spent(runs) == "0.12"
    put(runs, "third", ended())
    noted(runs, RunFolder(runs.root / "third"))
    assert spent(runs) == "0.18"


def test_a_run_that_goes_on_after_its_deletion_was_cut_short_is_counted_by_itself(
    runs: Runs,
) -> None:
    Books(runs).allow(a_budget(), NOW)
    folder = put(runs, "run", ended())
    noted(runs, folder)
    store = RunStore(folder)
    version = store.read().metadata.resource_version or ""
    store.write_status(ended(seconds=120).build().status, version=version)
    assert spent(runs) == "0.12"
    gone(runs, folder)
    assert spent(runs) == "0.12"


def test_what_was_noted_is_added_up_when_its_run_is_gone(runs: Runs) -> None:
    Books(runs).allow(a_budget(), NOW)
    for number in range(3):
        gone(runs, put(runs, f"run-{number}", ended()))
    noted(runs, put(runs, "last", ended()))
    remembered = Books(runs).files.status("team")
    assert [each.run for each in remembered.departed] == ["last"]
    assert [format_usd(each.amount_usd) for each in remembered.settled] == ["0.18"]
    assert spent(runs) == "0.24"


def test_a_run_is_not_deleted_whose_share_cannot_be_noted(runs: Runs) -> None:
    Books(runs).allow(a_budget(), NOW)
    folder = put(runs, "run", ended())
    damaged = Books(runs).files.path("team")
    damaged.write_text("spec: {}", "utf-8")
    with pytest.raises(ConfigurationFault, match=str(damaged)):
        noted(runs, folder)
    deletion = LocalBackend(runs).perform(RunStore(folder).read(), DeleteRun())
    with pytest.raises(TemporaryFault, match=str(damaged)):
        asyncio.run(deletion)
    assert folder.exists()


def test_a_budget_of_the_name_of_one_that_was_deleted_begins_anew(runs: Runs) -> None:
    Books(runs).allow(a_budget(), NOW)
    gone(runs, put(runs, "run", ended()))
    remembered = Books(runs).files.path("team").with_name("status.yaml")
    text = remembered.read_text("utf-8")
    Books(runs).disallow("team")
    # As if its deletion had been cut short after its first file.
    remembered.parent.mkdir()
    remembered.write_text(text, "utf-8")
    assert Books(runs).told(NOW) == ()
    assert Books(runs).allow(a_budget(), NOW)[1]
    assert spent(runs) == "0.00"


def wanting(runs: Runs, name: str) -> None:
    run = parse_training_run(
        {
            "metadata": {"name": name, "annotations": {PRICE: "3600"}},
            "spec": {"trainer": {"command": ["true"]}, "budget": {"limitUSD": "80.00"}},
        }
    )
    RunStore(runs.folder(name)).create(run)


def test_what_another_process_reserved_since_the_look_is_not_reserved_again(runs: Runs) -> None:
    Books(runs).allow(a_budget("100.00"), datetime.now(UTC))
    wanting(runs, "first")
    wanting(runs, "second")

    async def both() -> TrainingRun:
        one, other = LocalBackend(runs), LocalBackend(runs)
        seen, as_well = await one.observe("first"), await other.observe("second")
        assert seen is not None
        assert as_well is not None
        recorded = await one.record(seen.run, decide(seen).status)
        assert recorded.status.attempts
        assert other.has_other_allowances(as_well.run)
        with pytest.raises(Conflict):
            await other.record(as_well.run, decide(as_well).status)
        again = await other.observe("second")
        assert again is not None
        return await other.record(again.run, decide(again).status)

    assert asyncio.run(both()).status.reason == Reason.WAITING_FOR_BUDGET


def test_each_period_pays_for_itself_and_those_that_are_over_are_told(runs: Runs) -> None:
    Books(runs).allow(a_budget(period="Daily", timeZone="Europe/Berlin"), NOW)
    put(runs, "run", ended())
    gone(runs, put(runs, "deleted", ended()))
    later = NOW + timedelta(days=2)
    assert spent(runs, NOW) == "0.12"
    assert spent(runs, later) == "0.00"
    amounts = [format_usd(past.spent_usd) for past in told(runs, later).history]
    assert amounts == ["0.12", "0.00"]
    start = told(runs, later).history[0].period_start
    assert start.hour in {22, 23}, "midnight in Berlin"


def test_a_period_that_is_over_is_told_with_the_limit_that_it_had(runs: Runs) -> None:
    Books(runs).allow(a_budget("1.00", period="Daily"), NOW)
    later = NOW + timedelta(days=1)
    budget, new = Books(runs).allow(a_budget("2.00", period="Daily"), later)
    assert not new
    assert budget.metadata.generation == 2
    history = told(runs, later + timedelta(days=1)).history
    assert [format_usd(past.limit_usd) for past in history] == ["1.00", "2.00"]


def test_a_period_that_is_over_is_remembered_by_whoever_records_next(runs: Runs) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=1)
    Books(runs).allow(a_budget("100.00", period="Daily"), long_ago)
    wanting(runs, "run")

    async def look() -> None:
        backend = LocalBackend(runs)
        seen = await backend.observe("run")
        assert seen is not None
        await backend.record(seen.run, decide(seen).status)

    asyncio.run(look())
    assert len(Books(runs).files.status("team").history) == 1


def test_while_a_run_cannot_be_read_nothing_new_is_promised(runs: Runs) -> None:
    Books(runs).allow(a_budget("100.00"), NOW)
    folder = put(runs, "run", ended())
    wanting(runs, "other")
    folder.status_file.write_text("attempts: [", "utf-8")
    other = RunStore(runs.folder("other")).read()
    books = Books(runs)
    (allowance,) = books.allowances(other, NOW)
    assert str(folder.status_file) in allowance.fault
    condition = told(runs).conditions[0]
    assert condition.status == "False"
    shutil.rmtree(folder.path)
    (allowance,) = books.allowances(other, NOW)
    assert allowance.fault == ""


def test_a_damaged_budget_that_is_set_anew_keeps_what_is_remembered(runs: Runs) -> None:
    Books(runs).allow(a_budget(), NOW)
    gone(runs, put(runs, "run", ended()))
    Books(runs).files.path("team").write_text("no budget", "utf-8")
    Books(runs).allow(a_budget(), NOW)
    assert spent(runs) == A_MINUTE


def test_what_is_remembered_and_cannot_be_read_is_not_written_over(runs: Runs) -> None:
    Books(runs).allow(a_budget(), NOW)
    remembered = Books(runs).files.path("team").with_name("status.yaml")
    remembered.write_text("settled: 5", "utf-8")
    with pytest.raises(ConfigurationFault, match=r"status\.yaml"):
        Books(runs).allow(a_budget("2.00"), NOW)
    assert remembered.read_text("utf-8") == "settled: 5"


def test_no_run_has_the_name_of_what_is_kept_beside_runs(runs: Runs) -> None:
    Books(runs).allow(a_budget(), NOW)
    assert runs.all() == ()
