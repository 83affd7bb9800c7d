"""A trainer may write anything to its log, its files and its last word: the status stays readable, bounded and about the run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lightcompute.api.reasons import Reason
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.words import ConditionType, Phase
from lightcompute.core.decide import decide
from lightcompute.core.progress import Progress
from lightcompute.core.snapshot import ChildState
from lightcompute.testing.builders import NOON, a_child, a_run, a_running_attempt, a_snapshot, at
from lightcompute.testing.trainer import a_loss
from runcontract.audit import Audit, Hardware
from runcontract.progress import Concluded, Described, parse_report, report_line
from runcontract.results import Results, TargetVerdict, TerminationMessage

MAX_STATUS_BYTES = 100_000
"""An object of an API server may have about a megabyte and a half; a status of one attempt is far below."""
LARGEST = 2**53

whole = st.integers() | st.sampled_from([0, 1, LARGEST, LARGEST + 1, 2**63, 10**400, -1])
real = st.floats(allow_nan=True) | st.sampled_from([0.0, 1e308, -1e308, 1e10])
words = st.text(max_size=40) | st.sampled_from(["x" * 5000, "\0" * 3000, "\U0001f40d" * 2100, ""])
losses = st.fixed_dictionaries(
    {"natsPerToken": real, "natsPerCharacter": real, "bitsPerByte": real}
)
targets = st.fixed_dictionaries(
    {
        "metric": words,
        "unit": st.sampled_from(["NatsPerToken", "NatsPerCharacter", "BitsPerByte"]),
        "atMost": real,
        "reached": real | st.none(),
        "met": st.booleans(),
    }
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "time": st.datetimes(timezones=st.sampled_from([UTC, None])).map(datetime.isoformat)
    | st.sampled_from(["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "x"]),
    "attempt": st.just(1) | whole,
    "step": whole,
    "maxSteps": whole,
    "parameters": whole,
    "trainingTokens": whole,
    "resumedFromStep": whole,
    "device": words,
    "epoch": real,
    "epochs": real,
    "tokens": whole,
    "trainingLoss": real,
    "learningRate": real,
    "gradientNorm": real,
    "tokensPerSecond": real,
    "trainingSeconds": real,
    "remainingSeconds": real,
    "validation": losses,
    "finalValidation": losses,
    "bestValidation": losses,
    "bestStep": whole,
    "test": losses,
    "target": targets,
    "best": st.booleans(),
    "sample": words,
    "name": words,
    "sizeBytes": whole,
    "digest": words,
    "saveSeconds": real,
    "kept": st.lists(words, max_size=5),
    "reason": words | st.just("Anything"),
    "message": words,
    "exitCode": whole,
    "python": words,
    "torch": words,
    "cpu": words,
    "cpuCount": whole,
    "devices": st.lists(words, max_size=20),
    "gitCommit": words,
    "imageDigest": words,
    "seeds": st.dictionaries(words, whole, max_size=20),
    "configurationHash": words,
    "dataSha256": words,
    "tokenizerSha256": words,
}
EVENTS = (
    "started", "environment", "step", "evaluation", "checkpoint", "warning", "results", "finished",
)  # fmt: skip


@st.composite
def lies(draw: st.DrawFn) -> bytes:
    """A line that looks like a report, each value plausible or not."""
    document = {key: draw(VALUES[key]) for key in draw(st.sets(st.sampled_from(sorted(VALUES))))}
    honest = {"event": draw(st.sampled_from(EVENTS)), "time": NOON.isoformat(), "attempt": 1}
    return json.dumps(honest | document).encode()


@st.composite
def likely_reports(draw: st.DrawFn) -> bytes:
    """A line with every key there is, each value at or within its bound, so that it is taken as a report."""
    small = {key: tame(draw(value)) for key, value in VALUES.items()}
    small |= {key: draw(words)[:1024] for key in ("sample", "message")}
    honest = {"event": draw(st.sampled_from(EVENTS)), "time": NOON.isoformat(), "attempt": 1}
    return json.dumps(small | {"reason": "Anything", "exitCode": 0} | honest).encode()


def tame(value: Any) -> Any:
    match value:
        case bool() | None:
            return value
        case str():
            return value[:40]
        case int():
            return min(abs(value), LARGEST)
        case float():
            return min(abs(value), 1e3) if not math.isnan(value) else 0.5
        case list():
            return [tame(each) for each in value[:8]]
        case _:
            return {key[:40]: tame(each) for key, each in list(value.items())[:16]}


def told(lines: Iterable[bytes]) -> Progress:
    progress = Progress(attempt=1)
    for line in lines:
        report = parse_report(line)
        if report is not None:
            progress = progress.with_report(report)
    return progress


def numbers(value: Any) -> Iterable[int | float]:
    match value:
        case dict():
            for each in value.values():
                yield from numbers(each)
        case list():
            for each in value:
                yield from numbers(each)
        case int() | float():
            yield value
        case _:
            return


def assert_is_bounded(status: TrainingRunStatus) -> None:
    """What an API server would take: every bound of the model kept, no number that 64 bits cannot hold, no great size."""
    text = status.model_dump_json(by_alias=True, exclude_none=True)
    assert TrainingRunStatus.model_validate_json(text) == status
    assert len(text.encode()) < MAX_STATUS_BYTES
    assert all(abs(n) < 2**63 for n in numbers(json.loads(text)) if isinstance(n, int))


@pytest.mark.slow
@given(st.lists(st.binary(max_size=200) | lies() | likely_reports(), max_size=8), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_log_leaves_a_status_within_its_bounds(lines: list[bytes], over: bool) -> None:
    run = a_run().limited_to("20.00").with_attempts(a_running_attempt(price="2.00"))
    progress = told(lines)
    state = ChildState.EXITED if over else ChildState.RUNNING
    child = a_child(state=state, exit_code=0 if over else None, progress=progress)
    decision = decide(a_snapshot(run, child, now=at(60)))
    assert_is_bounded(decision.status)
    assert decision.status.cost.spent_usd == 33_334, "what it says is no part of the bill"
    again = decide(a_snapshot(run.with_status(decision.status), child, now=at(60)))
    assert again.status == decision.status


def results(**parts: Any) -> Results:
    values: dict[str, Any] = {
        "reason": "MaxStepsReached", "message": "done", "exit_code": 0, "attempt": 1, "steps": 100, "max_steps": 100,
        "epochs": 1, "tokens": 1, "parameters": 1, "started_time": NOON, "finished_time": at(60), "training_seconds": 60,
        "tokens_per_second": 1, "best_validation": a_loss(1.5), "best_step": 80, "sample": "To be",
    }  # fmt: skip
    return Results(**(values | parts))


def audit(**parts: Any) -> Audit:
    values: dict[str, Any] = {
        "run_name": "x", "run_uid": "x", "attempt": 1, "started_time": NOON, "command": (), "packages": {"torch": "2.9"},
        "python": "CPython 3.11", "platform": "Linux", "seeds": {"seed": 7}, "environment": {}, "deterministic": True,
        "order_sha256": "o", "configuration_hash": "c", "data_sha256": "d", "tokenizer_sha256": "t", "training_tokens": 1,
        "validation_tokens": 1, "git_commit": "abc", "image_digest": "sha256:1",
        "hardware": Hardware(machine="x", cpu="cpu", cpu_count=2, threads=2, memory_bytes=1, devices=("A100", "A100")),
    }  # fmt: skip
    return Audit(**(values | parts))


def test_files_with_absurd_contents_leave_a_status_within_its_bounds() -> None:
    huge = 10**400
    file = results(
        attempt=huge, steps=huge, max_steps=huge, tokens=huge, parameters=huge, best_step=huge, epochs=1e300,
        training_seconds=1e300, tokens_per_second=1e300, sample="x" * 8000, message="x" * 1024,
    )  # fmt: skip
    trail = audit(
        packages={"torch": "x" * 9999}, attempt=huge, seeds={f"{n}" * 99: huge if n % 2 else n for n in range(99)},
        hardware=Hardware(machine="x", cpu="c" * 200, cpu_count=huge, threads=1, memory_bytes=1, devices=("d" * 999,) * 64),
    )  # fmt: skip
    word = TerminationMessage(exit_code=0, reason="x", message="x", step=huge)
    run = a_run().with_attempts(a_running_attempt())
    child = a_child(state=ChildState.EXITED, exit_code=0, termination=word, end_time=at(60))
    assert_is_bounded(decide(a_snapshot(run, child, now=at(60), results=file, audit=trail)).status)
    assert_is_bounded(decide(a_snapshot(run, child, now=at(60))).status)


def test_a_supervisor_that_sees_only_the_log_tells_the_same_as_one_that_sees_the_files() -> None:
    target = TargetVerdict(
        metric="ValidationLoss", unit="NatsPerCharacter", at_most=1.55, reached=1.5, met=True
    )
    lines = (
        report_line(Described.of(audit(), time=NOON, step=0)),
        report_line(Concluded.of(results(target=target), time=at(60))),
    )
    run = a_run().with_attempts(a_running_attempt())
    end: dict[str, Any] = {"state": ChildState.EXITED, "exit_code": 0, "end_time": at(60)}
    by_log = a_child(**end, progress=told(line.encode() for line in lines))
    seen = decide(a_snapshot(run, by_log, now=at(60))).status
    files = decide(
        a_snapshot(run, a_child(**end), now=at(60), results=results(target=target), audit=audit())
    ).status
    assert (seen.results, seen.environment) == (files.results, files.environment)
    assert seen.results is not None
    assert seen.results.target_met
    assert seen.environment is not None
    assert seen.environment.hardware == "cpu, 2 CPUs; A100, A100"
    assert seen.reason == Reason.TARGET_MET


def test_the_folders_files_win_over_the_log() -> None:
    line = report_line(Concluded.of(results(steps=7), time=at(60)))
    run = a_run().with_attempts(a_running_attempt())
    child = a_child(progress=told([line.encode()]))
    seen = decide(a_snapshot(run, child, now=at(60), results=results(steps=100))).status
    assert seen.results is not None
    assert seen.results.steps == 100


def test_an_earlier_attempts_verdict_is_not_the_last_ones() -> None:
    """The second attempt came to the end, but nothing of what it said could be read."""
    target = TargetVerdict(
        metric="ValidationLoss", unit="NatsPerCharacter", at_most=1.55, reached=3.0, met=False
    )
    spec = a_run().spec["training"] | {"target": {"unit": "NatsPerCharacter", "atMost": 1.55}}
    run = a_run().with_spec(training=spec)
    word = Concluded.of(results(reason="Preempted", exit_code=13, target=target), time=at(60))
    first = a_child(
        state=ChildState.EXITED, exit_code=13, progress=told([report_line(word).encode()]),
    )  # fmt: skip
    left = decide(a_snapshot(run.with_attempts(a_running_attempt()), first, now=at(60)))
    assert left.status.results is not None
    assert left.status.results.target_met is False
    run = run.with_status(left.status).with_attempts(
        *left.status.attempts, a_running_attempt(len(left.status.attempts) + 1)
    )
    number = run.status.attempts[-1].number
    done = a_child(number, state=ChildState.EXITED, exit_code=0, end_time=at(90))
    decision = decide(a_snapshot(run, done, now=at(90)))
    assert (decision.status.phase, decision.reason) == (Phase.SUCCEEDED, Reason.COMPLETED)
    verdicts = [c.status for c in decision.status.conditions if c.type is ConditionType.TARGET_MET]
    assert verdicts == ["Unknown"]


def test_the_models_bounds_are_what_the_api_server_would_hold_against_us() -> None:
    """That `assert_is_bounded` sees what it is there for."""
    status = decide(a_snapshot(a_run())).status
    with pytest.raises((AssertionError, ValidationError)):
        assert_is_bounded(status.model_copy(update={"restarts": 2**63}))
    with pytest.raises((AssertionError, ValidationError)):
        assert_is_bounded(status.model_copy(update={"message": "x" * 2000}))
