"""`lightcompute explain -f` on this machine: what it says of a file holds when the file is run, and it makes nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lightcompute.cli.main import main
from support.local_runs import LocalRun, eventually

Make = Callable[..., LocalRun]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def explained(run: LocalRun, *options: str) -> tuple[int, str]:
    return run.call(str(run.file), *options, verb="explain", subject="-f")


def test_the_run_goes_where_it_was_said_and_nothing_was_made_before(local_run: Make) -> None:
    run = local_run(steps=3, step_seconds=0.01, spec={"budget": {"limitUSD": "2.00"}})
    code, said = explained(run, "--price-per-hour-usd", "0.50")
    assert code == 0, said
    assert not (run.base / "runs").exists()
    assert run.call("--price-per-hour-usd", "0.50")[0] == 0
    place = run.status().attempts[-1].place
    assert f"foreign: a new run; it would go to {place} now" in said
    assert "there is no line for this machine" in said
    assert "not known: the program is not ours" in said
    assert "at most $2.00; pays for 3 h 59 min at $0.5000 an hour" in said
    assert "is over (Succeeded), so there is nothing to go on with" in explained(run)[1]
    (row,) = (line for line in said.splitlines() if line.startswith(str(place)))
    assert row.removeprefix(str(place)).split() == ["$0.5000", "Chosen"]


def test_time_and_cost_of_a_training_are_told_with_what_they_rest_on(local_run: Make) -> None:
    training = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 1000}
    run = local_run(spec={"trainer": {}, "training": training, "budget": {"limitUSD": "0.01"}})
    code, said = explained(run, "--price-per-hour-usd", "90")
    assert code == 0, said
    assert "it would not start now" in said
    assert "why not    BudgetExhausted" in said
    assert "BudgetTooSmall" in said
    assert "by a rough model, which may be off by a factor of three" in said
    assert "which is not enough" in said
    assert "(rough)" in said


@pytest.mark.parametrize(
    "change",
    ["budget.limitUSD=20", "training.seeds=7", "trainer.numNodes=2", "metadata.name=No_Label"],
)
def test_a_file_that_run_refuses_is_refused_in_the_same_words(local_run: Make, change: str) -> None:
    run = local_run()
    refused = run.call("--set", change)
    assert refused[0] == 10
    assert explained(run, "--set", change) == refused
    assert not (run.base / "runs").exists()


def test_a_run_that_is_there_is_told_apart_from_a_new_one(local_run: Make) -> None:
    run = local_run(steps=1000, step_seconds=0.05)
    run.start()
    eventually(lambda: run.folder.exists() and run.has_trainer())
    alive = explained(run)
    assert (alive[0], "attempt 1 is on" in alive[1]) == (0, True), alive[1]
    assert "--name foreign-2" in alive[1]
    refused = explained(run, "--set", "training.seed=7")
    assert (refused[0], "spec.training.seed: found 7" in refused[1]) == (10, True)
    other = explained(run, "--name", "another")
    assert "and 1 run is alive on it" in other[1]
    assert run.ask("suspend")[0] == 0
    held = explained(run, "--set", "training.maxSteps=30")
    assert "a run that is there and would go on; it would go to local/" in held[1]
    assert "changed  spec.training.maxSteps: 20 -> 30" in held[1]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("baseline", "-f", "run.yaml"),
        ("baseline", "--set", "training.seed=7"),
        ("baseline", "--name", "other"),
    ],
)
def test_either_a_run_or_a_file_is_explained(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["explain", *words])
    assert leaving.value.code == 2
    assert "Error:" in capsys.readouterr().err
