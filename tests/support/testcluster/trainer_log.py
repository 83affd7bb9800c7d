"""What a simulated trainer has printed until now: computed from its pod alone, so that it is the same however often it is read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from runcontract.losses import Loss
from runcontract.manifest import checkpoint_name
from runcontract.progress import (
    Concluded,
    Described,
    Evaluated,
    Finished,
    Report,
    Saved,
    Started,
    Stepped,
    report_line,
)
from support.testcluster.trainer_garbage import garbage
from support.testcluster.trainer_plan import Line, Plan, read_plan

_RANK = "batch.kubernetes.io/job-completion-index"
_FIRST_LOSS = 4.2
_REPORTS_BEFORE_SILENCE = 2
_SAVES = 5
_TOKENS_PER_STEP = 1000


def container_lines(pod: dict[str, Any], container: str, *, now: datetime) -> tuple[Line, ...]:
    """The lines of one container until `now`; a container that is no trainer says that it started."""
    plan = read_plan(pod)
    if plan is None or now < plan.start:
        return ()
    if container != pod["spec"]["containers"][0]["name"]:
        return (Line(time=plan.start, text=f"{container} started"),)
    if pod["metadata"].get("labels", {}).get(_RANK, "0") != "0":
        return ()  # Of several processes the first alone reports.
    match plan.speech:
        case "Silent":
            return ()
        case "Garbage":
            return tuple(garbage(plan, now))
        case _:
            return tuple(_reports(plan, now))


def has_ended(pod: dict[str, Any]) -> bool:
    """Whether nothing more will be added to its logs."""
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


def _reports(plan: Plan, now: datetime) -> Iterator[Line]:
    seconds = math.floor((_until(plan, now) - plan.start).total_seconds())
    if plan.speech == "FallsSilent":
        seconds = min(seconds, _REPORTS_BEFORE_SILENCE)
    yield _line(
        Started(
            **_head(plan, 0, 0), max_steps=plan.steps, parameters=1_000_000, training_tokens=1_000_000,
            device="simulated",
        )
    )  # fmt: skip
    yield _line(_described(plan))
    saved = last = 0
    for second in range(1, seconds + 1):
        step = min(math.floor(second * plan.steps_per_second), plan.steps)
        if plan.last_step is not None and step > plan.last_step:
            break
        last = second
        yield _line(_stepped(plan, second, step))
        due = step * _SAVES // max(plan.steps, 1)
        if due > saved:
            saved = due
            yield from _evaluated_and_saved(plan, second, step)
    if plan.end is not None and plan.reason and plan.exit_code is not None:
        yield from _leaving(plan, after_second=last)


def _until(plan: Plan, now: datetime) -> datetime:
    """Up to when it spoke. The server cuts the end to whole seconds, and a line that was read once must not go again."""
    ends = [now]
    if plan.planned_end is not None:
        ends.append(plan.planned_end)
    if plan.end is not None:
        ends.append(plan.end + timedelta(seconds=1))
    return min(ends)


def _leaving(plan: Plan, *, after_second: int) -> Iterator[Line]:
    """What it said last, with the step that its termination message names; never before what it said already."""
    assert plan.end is not None
    assert plan.exit_code is not None
    step = plan.last_step or 0
    second = max((plan.end - plan.start).total_seconds(), after_second)
    yield from _evaluated_and_saved(plan, second, step)
    yield _line(_concluded(plan, second, step))
    yield _line(
        Finished(
            **_head(plan, second, step), exit_code=plan.exit_code, reason=plan.reason, message=plan.message
        )
    )  # fmt: skip


def _evaluated_and_saved(plan: Plan, second: float, step: int) -> Iterator[Line]:
    loss = loss_at(plan, step)
    yield _line(
        Evaluated(
            **_head(plan, second, step), validation=loss, best=True, training_loss=loss.nats_per_token,
            sample=f"To be, or not to be at {step}",
        )
    )  # fmt: skip
    yield _line(
        Saved(
            **_head(plan, second, step), name=checkpoint_name(step), size_bytes=1000, digest="0" * 64,
            validation=loss, save_seconds=plan.save_seconds, kept=(checkpoint_name(step),),
        )
    )  # fmt: skip


def _described(plan: Plan) -> Described:
    nothing = "0" * 64
    return Described(
        **_head(plan, 0, 0), python="3.11.0", torch="2.6.0", cpu="simulated", cpu_count=8, devices=("simulated",),
        seeds={"global": 1337}, configuration_hash=nothing, data_sha256=nothing, tokenizer_sha256=nothing,
    )  # fmt: skip


def _concluded(plan: Plan, second: float, step: int) -> Concluded:
    loss = loss_at(plan, step)
    assert plan.exit_code is not None
    return Concluded(
        **_head(plan, second, step), reason=plan.reason, message=plan.message, exit_code=plan.exit_code,
        max_steps=plan.steps, epochs=step / 1000, tokens=step * _TOKENS_PER_STEP, parameters=1_000_000,
        training_seconds=second, tokens_per_second=plan.steps_per_second * _TOKENS_PER_STEP,
        final_validation=loss, best_validation=loss, best_step=step, target=plan.target,
        sample=f"To be, or not to be at {step}",
    )  # fmt: skip


def _stepped(plan: Plan, second: float, step: int) -> Stepped:
    return Stepped(
        **_head(plan, second, step), max_steps=plan.steps, epoch=step / 1000, tokens=step * _TOKENS_PER_STEP,
        training_loss=loss_at(plan, step).nats_per_token, learning_rate=1e-3, gradient_norm=1.0,
        tokens_per_second=plan.steps_per_second * _TOKENS_PER_STEP,
        remaining_seconds=(plan.steps - step) / max(plan.steps_per_second, 1e-6),
    )  # fmt: skip


def loss_at(plan: Plan, step: int) -> Loss:
    """Falls in a line from 4.2 nats per character to the plan's loss; the stages compute the same."""
    value = plan.loss + (_FIRST_LOSS - plan.loss) * (1 - step / max(plan.steps, 1))
    return Loss(
        nats_per_token=2 * value, nats_per_character=value, bits_per_byte=value / math.log(2)
    )


def _head(plan: Plan, second: float, step: int) -> dict[str, Any]:
    time = plan.start + timedelta(seconds=second)
    return {"time": time.astimezone(UTC), "attempt": plan.attempt, "step": step}


def _line(report: Report) -> Line:
    return Line(time=report.time, text=report_line(report))
