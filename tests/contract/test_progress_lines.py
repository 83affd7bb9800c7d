"""Lines from a trainer's output: reports are read, anything else is left alone and costs nothing."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcontract.bounds import MAX_COUNT
from runcontract.losses import Loss
from runcontract.progress import (
    MAX_LINE_BYTES,
    Concluded,
    Described,
    Evaluated,
    Finished,
    Report,
    Saved,
    Started,
    Stepped,
    Warned,
    parse_report,
    report_line,
)
from runcontract.results import TargetVerdict

COMMON: dict[str, Any] = {"time": datetime(2026, 11, 22, tzinfo=UTC), "attempt": 1, "step": 3}
LOSS = Loss(nats_per_token=3.0, nats_per_character=1.5, bits_per_byte=2.2)
STEPPED = Stepped(
    **COMMON, max_steps=9, epoch=0.5, tokens=99, training_loss=2.5, learning_rate=1e-3, gradient_norm=1, tokens_per_second=10
)  # fmt: skip
DESCRIBED = Described(
    **COMMON, python="CPython 3.11.2", torch="2.9.1", cpu="cpu", cpu_count=2, devices=("A100",), seeds={"seed": 7},
    configuration_hash="c" * 64, data_sha256="d" * 64, tokenizer_sha256="e" * 64,
)  # fmt: skip
TARGET = TargetVerdict(
    metric="ValidationLoss", unit="NatsPerCharacter", at_most=1.55, reached=1.5, met=True
)
CONCLUDED = Concluded(
    **COMMON, reason="MaxStepsReached", message="done", exit_code=0, max_steps=9, epochs=0.5, tokens=99, parameters=1,
    training_seconds=3, tokens_per_second=33, final_validation=LOSS, best_validation=LOSS, best_step=3, test=LOSS,
    target=TARGET, sample="To be",
)  # fmt: skip
REPORTS: list[Report] = [
    Started(**COMMON, max_steps=9, parameters=1, training_tokens=2, device="cpu"),
    DESCRIBED,
    CONCLUDED,
    STEPPED,
    Evaluated(**COMMON, validation=LOSS, best=True, training_loss=2.0, sample="To be\nor ü"),
    Saved(**COMMON, name="step-00000003", size_bytes=1, digest="a" * 64, save_seconds=0.1, kept=("step-00000003",)),
    Warned(**COMMON, reason="CheckpointQuarantined", message="step 3"),
    Finished(**COMMON, exit_code=0, reason="MaxStepsReached", message="done"),
]  # fmt: skip


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.event)
def test_a_report_is_one_line_that_is_read_again(report: Report) -> None:
    line = report_line(report)
    assert "\n" not in line
    assert parse_report(line) == report
    assert parse_report(f"  {line}\n".encode()) == report


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("step", -1), ("step", 2**60), ("step", 1.5), ("step", "x"), ("step", None), ("attempt", 0), ("trainingLoss", -1),
        ("trainingLoss", 1e308), ("trainingLoss", float("nan")), ("trainingLoss", float("inf")), ("tokensPerSecond", float("inf")),
        ("event", "other"), ("event", None), ("time", "yesterday"), ("epoch", []), ("maxSteps", {}),
    ],
)  # fmt: skip
def test_a_forged_value_spoils_only_its_own_line(key: str, value: object) -> None:
    document = STEPPED.document() | {key: value}
    assert parse_report(json.dumps(document)) is None


def test_a_key_that_this_reader_does_not_know_is_left_out() -> None:
    document = STEPPED.document() | {"fromTheFuture": 1}
    assert parse_report(json.dumps(document)) == STEPPED


@pytest.mark.parametrize(
    "line",
    ["", "hello", "{}", "{", "[]", "null", '{"event":"step"}', "\0", "\x1b[31m", '"{"', '{"a":' * 5000, b"\xff\xfe{", b'{"event":"\xff"}'],
)  # fmt: skip
def test_a_line_that_is_no_report_is_none(line: str | bytes) -> None:
    assert parse_report(line) is None


def test_a_line_that_is_too_long_is_not_parsed() -> None:
    padded = report_line(STEPPED)[:-1] + " " * MAX_LINE_BYTES + "}"
    assert parse_report(padded) is None
    assert parse_report(padded.replace(" " * MAX_LINE_BYTES, " ")) == STEPPED


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any_line_is_a_report_or_none(line: bytes | str) -> None:
    assert parse_report(line) is None


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=1024))
def test_a_message_of_any_text_fits_a_line(message: str) -> None:
    report = Warned(**COMMON, reason="Anything", message=message)
    assert parse_report(report_line(report)) == report


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=4000))
def test_a_sample_of_any_text_is_read_again(sample: str) -> None:
    report = Evaluated(**COMMON, validation=LOSS, best=False, training_loss=2.0, sample=sample)
    assert parse_report(report_line(report)) == report


WORST = "\x01"
"""Of one character makes six bytes."""


@pytest.mark.parametrize(
    "report",
    [
        Described(
            **COMMON | {"attempt": 1_000_000, "step": MAX_COUNT},
            python=WORST * 200, torch=WORST * 64, cpu=WORST * 200, cpu_count=MAX_COUNT, devices=(WORST * 64,) * 8,
            git_commit=WORST * 64, image_digest=WORST * 200,
            seeds={f"{WORST * 62}{number:02}": -MAX_COUNT for number in range(16)},
            configuration_hash=WORST * 64, data_sha256=WORST * 64, tokenizer_sha256=WORST * 64,
        ),
        CONCLUDED.model_copy(
            update={"reason": WORST * 64, "message": WORST * 1024, "sample": WORST * 2000}
        ),
        CONCLUDED.model_copy(update={"message": "\U0001f40d" * 1024, "sample": "\U0001f40d" * 2000}),
        Evaluated(
            **COMMON, validation=LOSS, best=False, training_loss=2.0, sample=WORST * 4000
        ),
        Saved(
            **COMMON, name="step-00000003", size_bytes=1, digest="a" * 64, save_seconds=0.1,
            kept=tuple(f"step-{number:08}" for number in range(2000)),
        ),
    ],
    ids=lambda report: report.event,
)  # fmt: skip
def test_the_longest_report_fits_a_line_and_is_read(report: Report) -> None:
    line = report_line(report)
    assert len(line.encode()) <= MAX_LINE_BYTES
    found = parse_report(line)
    assert found is not None
    assert (found.event, found.step) == (report.event, report.step)


def test_of_too_many_checkpoints_a_line_names_the_newest() -> None:
    names = tuple(f"step-{number:08}" for number in range(2000))
    report = Saved(
        **COMMON, name=names[-1], size_bytes=1, digest="a" * 64, save_seconds=0.1, kept=names
    )
    found = parse_report(report_line(report))
    assert isinstance(found, Saved)
    assert found.kept == names[-len(found.kept) :]
    assert len(found.kept) >= 500


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=2000))
def test_results_with_any_sample_are_read_again(sample: str) -> None:
    report = CONCLUDED.model_copy(update={"sample": sample})
    found = parse_report(report_line(report))
    assert isinstance(found, Concluded)
    assert found.sample is not None
    assert sample.startswith(found.sample)
    assert found.model_copy(update={"sample": sample}) == report
