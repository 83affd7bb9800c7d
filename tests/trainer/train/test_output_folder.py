import csv
import json
import math
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from lightgpt.tokenizer.files import load_tokenizer
from runcontract.audit import Audit
from runcontract.losses import loss_from_sum
from runcontract.metrics import COLUMNS
from runcontract.order import read_order
from runcontract.progress import Evaluated, Finished, Saved, Started, parse_report
from runcontract.results import Results
from support.training import Workshop, order_document, repeatable_rows, reports


def test_a_run_leaves_every_file_of_the_layout_and_nothing_temporary(workshop: Workshop) -> None:
    workshop.attempt(order_document())
    names = {path.name for path in (workshop.folder / "out").iterdir()}
    assert names == {
        "order.yaml",
        "progress.jsonl",
        "metrics.csv",
        "audit.json",
        "results.json",
        "checkpoints",
        "tensorboard",
        "tokenizer",
    }


def test_results_say_what_came_out_and_read_back_as_the_contract_has_them(
    workshop: Workshop,
) -> None:
    target = {"unit": "NatsPerCharacter", "atMost": 9.0}
    returned = workshop.attempt(order_document(target=target))
    results = Results.model_validate_json((workshop.folder / "out" / "results.json").read_bytes())
    assert results == returned
    assert (results.reason, results.exit_code, results.steps) == ("MaxStepsReached", 0, 12)
    assert results.tokens == 12 * 4 * 16
    assert results.best_validation is not None
    assert results.final_validation is not None
    assert results.test is not None
    assert results.target is not None
    assert results.target.met
    assert results.target.reached == results.best_validation.nats_per_character
    assert "target met" in results.message
    assert results.sample is not None
    assert results.sample.startswith("\n")
    assert len(results.sample) == 5
    assert [checkpoint.step for checkpoint in results.checkpoints] == [4, 8, 12]
    assert results.peak_memory_bytes is not None
    assert results.peak_memory_bytes > 10**7


def test_metrics_have_a_row_for_each_step_and_validation_where_it_was_scored(
    workshop: Workshop,
) -> None:
    results = workshop.attempt(order_document())
    with (workshop.folder / "out" / "metrics.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert [int(row["step"]) for row in table] == list(range(1, 13))
    scored = {int(row["step"]) for row in table if row["validation_loss_nats_per_token"]}
    assert scored == {4, 8, 12}
    assert results.final_validation is not None
    last = table[-1]
    assert float(last["validation_loss_bits_per_byte"]) == results.final_validation.bits_per_byte
    assert float(last["epoch"]) == results.epochs
    assert results.tokenizer is not None
    untaught = math.log(results.tokenizer.vocab_size)
    assert float(table[0]["training_loss_nats_per_token"]) == pytest.approx(untaught, rel=0.02)


def test_each_rows_training_loss_is_of_the_steps_since_the_row_before(workshop: Workshop) -> None:
    workshop.attempt(order_document())
    column = COLUMNS.index("training_loss_nats_per_token")
    losses = [float(row[column]) for row in repeatable_rows(workshop.folder / "out")]
    means = [sum(losses[start : start + 4]) / 4 for start in (0, 4, 8)]
    evaluated = [r for r in reports(workshop.folder / "out") if isinstance(r, Evaluated)]
    assert [report.training_loss for report in evaluated] == pytest.approx(means)


def test_a_training_loss_is_given_in_all_three_units_by_the_training_parts_averages(
    workshop: Workshop,
) -> None:
    tokenizer = {"type": "BPE", "vocabSize": 40}
    workshop.attempt(order_document(tokenizer=tokenizer, maxSteps=2))
    audit = Audit.model_validate_json((workshop.folder / "out" / "audit.json").read_bytes())
    text = (workshop.folder / "text.txt").read_text(encoding="utf-8")
    characters = len(text) - 2 * round(len(text) * 0.05)
    row = dict(
        zip(COLUMNS, repeatable_rows(workshop.folder / "out")[0], strict=False),
    )
    per_token = float(row["training_loss_nats_per_token"])
    expected = loss_from_sum(
        sum_nats=per_token * audit.training_tokens,
        tokens=audit.training_tokens,
        characters=characters,
        bytes_=characters,
    )
    assert float(row["training_loss_nats_per_character"]) == pytest.approx(
        expected.nats_per_character, rel=1e-3
    )
    assert float(row["training_loss_bits_per_byte"]) == pytest.approx(
        expected.bits_per_byte, rel=1e-3
    )


def test_reports_tell_the_run_from_its_start_to_its_end(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    workshop.attempt(order_document())
    found = reports(workshop.folder / "out")
    assert isinstance(found[0], Started)
    assert isinstance(found[-1], Finished)
    assert [report.step for report in found if isinstance(report, Evaluated)] == [4, 8, 12]
    assert [report.step for report in found if isinstance(report, Saved)] == [4, 8, 12]
    printed = [parse_report(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == found


def test_tensorboard_reads_losses_rates_samples_and_the_configuration(workshop: Workshop) -> None:
    workshop.attempt(order_document())
    events = EventAccumulator(str(workshop.folder / "out" / "tensorboard"))
    events.Reload()
    units = ("nats_per_token", "nats_per_character", "bits_per_byte")
    losses = {f"{part}_loss/{unit}" for part in ("training", "validation") for unit in units}
    scalars = set(events.Tags()["scalars"])
    assert scalars == losses | {"learning_rate", "gradient_norm", "tokens_per_second"}
    assert [point.step for point in events.Scalars("learning_rate")] == list(range(1, 13))
    assert [point.step for point in events.Scalars("validation_loss/bits_per_byte")] == [4, 8, 12]
    texts = {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}
    assert len(texts["sample/text_summary"]) == 3
    order_text = texts["order/text_summary"][0].tensor_proto.string_val[0].decode()
    assert "maxSteps: 12" in order_text


def test_the_audit_names_versions_machine_hashes_and_seeds(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_SCHEDULE", "static")
    monkeypatch.setenv("MKL_SECRET_TOKEN", "hidden-canary")
    variables = {"PYTHONHASHSEED": "1337", "LIGHTCOMPUTE_IMAGE_DIGEST": "sha256:abc"}
    workshop.attempt(order_document(seed=7), variables=variables)
    raw = (workshop.folder / "out" / "audit.json").read_text(encoding="utf-8")
    audit = Audit.model_validate_json(raw)
    assert {"torch", "numpy", "sentencepiece", "safetensors"} <= audit.packages.keys()
    assert audit.seeds == {"PYTHONHASHSEED": 1337, "GLOBAL_SEED": 1337, "seed": 7}
    assert audit.deterministic
    assert audit.hardware.threads == 1
    assert audit.hardware.memory_bytes > 10**8
    assert audit.image_digest == "sha256:abc"
    assert audit.environment["OMP_SCHEDULE"] == "static"
    assert "hidden-canary" not in raw
    assert audit.git_commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", audit.git_commit)
    assert len(audit.data_sha256) == len(audit.order_sha256) == 64
    assert audit.data_root == str(workshop.folder)


def test_the_order_in_the_folder_is_the_order_that_was_obeyed(workshop: Workshop) -> None:
    document = order_document(seed=5)
    workshop.attempt(document)
    order = read_order(workshop.folder / "out" / "order.yaml")
    assert order.training.seed == 5
    assert order.run.name == "tiny"


def test_the_tokenizer_in_the_folder_is_the_one_of_the_results(workshop: Workshop) -> None:
    results = workshop.attempt(order_document())
    tokenizer = load_tokenizer(workshop.folder / "out" / "tokenizer")
    assert results.tokenizer is not None
    assert tokenizer.sha256 == results.tokenizer.sha256


def test_the_checkpoints_tell_schedule_and_history(workshop: Workshop) -> None:
    workshop.attempt(order_document())
    path = workshop.folder / "out" / "checkpoints" / "step-00000008" / "state.json"
    state = json.loads(path.read_text(encoding="utf-8"))
    assert state["schedule"]["step"] == 8
    assert state["schedule"]["maxSteps"] == 12
    assert [entry["step"] for entry in state["history"]] == [4, 8]


def test_a_run_without_samples_and_without_a_test_part_has_neither(
    workshop: Workshop,
) -> None:
    data = {"files": ["text.txt"], "testFraction": 0}
    results = workshop.attempt(order_document(samples={"tokens": 0}, data=data))
    assert (results.sample, results.test, results.exit_code) == (None, None, 0)


@pytest.mark.slow
def test_two_runs_of_one_order_agree_in_every_bit(workshop: Workshop) -> None:
    document = order_document(model={"preset": "gpt-116k", "contextLength": 16, "dropout": 0.1})
    for out in ("one", "two"):
        workshop.attempt(document, out)
    folders: list[Path] = [workshop.folder / name for name in ("one", "two")]
    assert repeatable_rows(folders[0]) == repeatable_rows(folders[1])
    weights = [
        (folder / "checkpoints" / "step-00000012" / "model.safetensors").read_bytes()
        for folder in folders
    ]
    assert weights[0] == weights[1]


def test_another_seed_gives_another_run(workshop: Workshop) -> None:
    for seed in (1, 2):
        workshop.attempt(order_document(seed=seed, maxSteps=2), f"seed-{seed}")
    assert repeatable_rows(workshop.folder / "seed-1") != repeatable_rows(
        workshop.folder / "seed-2"
    )
