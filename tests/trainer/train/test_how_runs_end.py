import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from lightgpt.evaluation_of_run import evaluate_run
from runcontract.exit_codes import ExitCode
from runcontract.faults import CheckpointFault, DataFault, StorageFault
from runcontract.progress import Evaluated, Saved, Warned
from runcontract.results import Results, TerminationMessage
from support.training import Workshop, order_document, repeatable_rows, reports, stop_after

DIVERGING = {"type": "Muon", "learningRate": 10.0, "gradientClipNorm": 0}


def test_a_deadline_that_leaves_no_time_ends_the_attempt_before_its_first_step(
    workshop: Workshop,
) -> None:
    results = workshop.attempt(order_document(), variables={"LIGHTCOMPUTE_STOP_AFTER_SECONDS": "1"})
    assert (results.reason, results.exit_code) == ("BudgetReached", ExitCode.BUDGET_REACHED)
    assert results.steps == 0
    assert results.checkpoints == ()


def test_a_deadline_within_the_run_is_kept_with_a_checkpoint_behind_it(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clock of the process is old already: of the seconds allowed, some are left.
    monkeypatch.setattr("lightgpt.train.stopping.seconds_since_process_start", lambda: 0.0)
    results = workshop.attempt(
        order_document(maxSteps=1_000_000, evaluation={"everySteps": 100_000}),
        variables={"LIGHTCOMPUTE_STOP_AFTER_SECONDS": "9"},
    )
    assert results.exit_code == ExitCode.BUDGET_REACHED
    assert results.steps > 0
    assert results.checkpoints[-1].step == results.steps
    took_s = (results.finished_time - results.started_time).total_seconds()
    assert took_s < 9


def test_a_loss_that_explodes_ends_the_run_and_leaves_the_last_good_checkpoint(
    workshop: Workshop,
) -> None:
    document = order_document(
        maxSteps=1000,
        evaluation={"everySteps": 500},
        precision="BF16",
        optimizer={"learningRate": 10.0, "gradientClipNorm": 0, "weightDecay": 10, "epsilon": 1e-2},
    )
    results = workshop.attempt(document | {"checkpoints": {"everySteps": 1}})
    assert (results.reason, results.exit_code) == ("Diverged", ExitCode.DIVERGED)
    assert "step" in results.message
    assert results.checkpoints
    saved = [
        report.step for report in reports(workshop.folder / "out") if isinstance(report, Saved)
    ]
    assert max(saved) < 1000
    for row in repeatable_rows(workshop.folder / "out"):
        assert "nan" not in row
        assert "inf" not in row
    again = workshop.attempt(
        document | {"checkpoints": {"everySteps": 1}}, variables={"LIGHTCOMPUTE_ATTEMPT": "2"}
    )
    assert again.exit_code == ExitCode.DIVERGED


def test_patience_ends_a_run_that_no_longer_improves(workshop: Workshop) -> None:
    document = order_document(
        optimizer={"learningRate": 1e-9},
        maxSteps=100,
        evaluation={"everySteps": 2, "batchSize": 32},
        earlyStopping={"patience": 3, "minDelta": 0.01},
    )
    results = workshop.attempt(document)
    assert (results.reason, results.exit_code) == ("EarlyStopped", ExitCode.DONE)
    # The first evaluation is the first improvement, and three more bring none.
    assert results.steps == 2 * (1 + 3)
    assert results.test is not None


def test_patience_is_renewed_by_an_improvement(workshop: Workshop) -> None:
    document = order_document(
        maxSteps=12,
        evaluation={"everySteps": 2, "batchSize": 32},
        earlyStopping={"patience": 2},
    )
    assert workshop.attempt(document).reason == "MaxStepsReached"


def test_a_target_that_is_met_ends_the_run_where_the_order_says_so(workshop: Workshop) -> None:
    target = {"unit": "NatsPerToken", "atMost": 3.0, "stopWhenMet": True}
    results = workshop.attempt(order_document(target=target, maxSteps=100))
    assert (results.reason, results.exit_code) == ("TargetMet", ExitCode.DONE)
    assert results.steps < 100
    assert results.target is not None
    assert results.target.met


def test_a_target_that_is_missed_is_recorded_as_not_met(workshop: Workshop) -> None:
    target = {"unit": "BitsPerByte", "atMost": 0.5}
    results = workshop.attempt(order_document(target=target))
    assert results.exit_code == ExitCode.DONE
    assert results.target is not None
    assert results.best_validation is not None
    assert not results.target.met
    assert results.target.reached == results.best_validation.bits_per_byte
    assert "target not met" in results.message


def test_a_target_for_the_test_loss_is_judged_by_the_test_part(workshop: Workshop) -> None:
    target = {"metric": "TestLoss", "unit": "NatsPerToken", "atMost": 9.0}
    results = workshop.attempt(order_document(target=target))
    assert results.test is not None
    assert results.target is not None
    assert results.target.reached == results.test.nats_per_token


def test_a_lossy_tokenizer_cannot_meet_a_target_per_character(workshop: Workshop) -> None:
    document = order_document(
        tokenizer={"type": "BPE", "vocabSize": 60, "lossless": False},
        target={"unit": "NatsPerCharacter", "atMost": 50.0},
        samples={"prompt": "the", "tokens": 2},
    )
    results = workshop.attempt(document)
    assert results.target is not None
    assert not results.target.met
    assert "loses characters" in results.message


def test_the_test_part_is_scored_with_the_best_weights_that_are_kept(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The rate is far too high after a warm start, so an early checkpoint is the best one.
    document = order_document(
        optimizer={"learningRate": 0.5},
        schedule={"type": "Constant", "warmupSteps": 12},
        maxSteps=12,
        evaluation={"everySteps": 2, "batchSize": 32},
    )
    results = workshop.attempt(document)
    assert results.best_step is not None
    assert results.best_step < 12
    best = results.checkpoints[0]
    assert best.step == results.best_step
    assert results.test is not None
    monkeypatch.setenv("LIGHTCOMPUTE_CACHE", str(workshop.folder / "cache"))
    path = workshop.folder / "out" / "checkpoints" / best.name
    scored = evaluate_run(path, part="test", batch_size=None, data_root=None)
    assert scored.loss == results.test
    final = evaluate_run(workshop.folder / "out", part="test", batch_size=None, data_root=None)
    assert final.loss != results.test


def test_the_termination_message_holds_the_verdict(workshop: Workshop, tmp_path: Path) -> None:
    log = tmp_path / "termination"
    results = workshop.attempt(
        order_document(target={"unit": "NatsPerToken", "atMost": 9}),
        variables={"LIGHTCOMPUTE_TERMINATION_LOG": str(log)},
    )
    message = TerminationMessage.model_validate_json(log.read_bytes())
    assert (message.exit_code, message.reason, message.step) == (0, "MaxStepsReached", 12)
    assert message.best_validation == results.best_validation
    assert message.target == results.target


def test_a_folder_that_holds_another_configuration_is_refused_by_the_field_that_differs(
    workshop: Workshop,
) -> None:
    workshop.attempt(order_document())
    before = (workshop.folder / "out" / "order.yaml").read_bytes()
    with pytest.raises(CheckpointFault, match=r"training\.batchSize"):
        workshop.attempt(order_document(batchSize=8), variables={"LIGHTCOMPUTE_ATTEMPT": "2"})
    assert (workshop.folder / "out" / "order.yaml").read_bytes() == before


def test_an_output_folder_below_a_file_is_refused_before_anything_is_read(
    workshop: Workshop,
) -> None:
    (workshop.folder / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(StorageFault, match="out"):
        workshop.attempt(order_document(data={"files": ["missing.txt"]}))


def test_a_fault_of_the_data_leaves_no_output_folder(workshop: Workshop) -> None:
    with pytest.raises(DataFault, match=r"missing\.txt"):
        workshop.attempt(order_document(data={"files": ["missing.txt"]}))
    assert not (workshop.folder / "out").exists()


def test_saves_that_fail_are_warnings_until_three_in_a_row_end_the_run(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, lambda count: count > 2)
    document = order_document(maxSteps=100, evaluation={"everySteps": 50})
    results = workshop.attempt(document | {"checkpoints": {"everySteps": 2}})
    assert (results.reason, results.exit_code) == ("StorageFault", ExitCode.STORAGE_FAULT)
    warnings = [r for r in reports(workshop.folder / "out") if isinstance(r, Warned)]
    assert [warning.reason for warning in warnings] == ["CheckpointFailed"] * 2
    assert results.steps < 100
    assert [checkpoint.step for checkpoint in results.checkpoints] == [2, 4]


def test_a_save_that_fails_now_and_then_costs_nothing_but_that_checkpoint(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, lambda count: count % 3 == 0)
    document = order_document(maxSteps=20, evaluation={"everySteps": 10, "batchSize": 32})
    results = workshop.attempt(document | {"checkpoints": {"everySteps": 2}})
    assert results.exit_code == ExitCode.DONE
    found = reports(workshop.folder / "out")
    assert len([r for r in found if isinstance(r, Warned)]) == 3
    assert {r.step for r in found if isinstance(r, Evaluated)} == {10, 20}
    assert results.checkpoints[-1].step == 20


def failing(monkeypatch: pytest.MonkeyPatch, fails: Any, *, slow_s: float = 0.0) -> None:
    """Has writing the nth checkpoint fail as a full disk does, where `fails(n)`, after `slow_s`."""
    from lightgpt.checkpoint import store
    from lightgpt.checkpoint.writing import write_checkpoint as real

    steps: list[int] = []

    def write(folder: Path, job: Any, *rest: Any, **named: Any) -> Any:
        time.sleep(slow_s)
        if job.step not in steps:
            steps.append(job.step)
        if fails(steps.index(job.step) + 1):
            raise OSError(28, "No space left on device")
        return real(folder, job, *rest, **named)

    monkeypatch.setattr(store, "write_checkpoint", write)


def test_a_failure_that_is_learned_of_late_is_not_taken_for_that_of_the_last_save(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, lambda count: count == 11, slow_s=0.05)
    results = workshop.attempt(order_document() | {"checkpoints": {"everySteps": 1}})
    assert results.exit_code == ExitCode.DONE
    found = reports(workshop.folder / "out")
    assert [r.step for r in found if isinstance(r, Saved)] == [*range(1, 11), 12]
    assert len([r for r in found if isinstance(r, Warned)]) == 1


def test_the_last_save_must_succeed(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, lambda count: count == 3)
    results = workshop.attempt(order_document())
    assert results.exit_code == ExitCode.STORAGE_FAULT
    written = json.loads((workshop.folder / "out" / "results.json").read_text(encoding="utf-8"))
    assert Results.model_validate(written) == results


def test_a_last_save_that_fails_is_tried_once_more(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes_of_the_last = itertools.count(1)
    # The store itself tries twice.
    failing(monkeypatch, lambda count: count == 3 and next(writes_of_the_last) <= 2)
    results = workshop.attempt(order_document())
    assert results.exit_code == ExitCode.DONE
    assert results.checkpoints[-1].step == 12


def test_a_preempted_attempt_before_its_first_step_saves_nothing_and_can_be_repeated(
    workshop: Workshop,
) -> None:
    results = workshop.attempt(order_document(), signals=stop_after(0))
    assert (results.exit_code, results.steps) == (ExitCode.PREEMPTED, 0)
    assert results.checkpoints == ()
    again = workshop.attempt(order_document(), variables={"LIGHTCOMPUTE_ATTEMPT": "2"})
    assert again.exit_code == ExitCode.DONE


def test_a_model_that_cannot_be_compiled_ends_in_results_that_name_the_field(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def refuses(*_: Any, **__: Any) -> Any:
        raise TorchDynamoException("a compiler that compiles nothing")

    monkeypatch.setattr("torch.compile", lambda *_, **__: refuses)
    results = workshop.attempt(order_document(compile=True))
    assert (results.reason, results.exit_code) == ("ConfigurationFault", 10)
    assert "training.compile" in results.message
    assert "compiles nothing" in results.message
    assert (workshop.folder / "out" / "results.json").exists()
