"""What an image prints that keeps to no contract: nobody who reads a log may be harmed by it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from runcontract.progress import Started, Stepped, report_line
from support.testcluster.trainer_plan import Line, Plan

_LINES = 2000


def garbage(plan: Plan, now: datetime) -> Iterator[Line]:
    """Megabytes of junk, with lies in between: numbers that are none, attempts that are not its own, lines without an end."""
    head: dict[str, Any] = {"time": plan.start.astimezone(UTC), "attempt": plan.attempt, "step": 0}
    lies = (
        report_line(Started(**{**head, "attempt": plan.attempt + 7}, max_steps=1, parameters=1, training_tokens=1, device="lie")),
        report_line(Stepped(
            **{**head, "step": 2**53}, max_steps=1, epoch=0, tokens=2**53, training_loss=0, learning_rate=0, gradient_norm=0,
            tokens_per_second=1e12, remaining_seconds=1e10,
        )),
        '{"event":"step","time":"2020-01-01T00:00:00Z","attempt":1,"step":NaN,"training_loss":Infinity}',
        '{"event":"evaluation","validation":{"natsPerToken":NaN,"natsPerCharacter":-1e308,"bitsPerByte":0}}',
        '{"event":"finished","exitCode":0,"reason":"MaxStepsReached","message":"a lie","attempt":1,"step":0,"time":"x"}',
        "{" * 5000,
        "x" * 200_000,
        "\x1b[2J\x1b[31mred\x00nul\ufffd",
    )  # fmt: skip
    seconds = (now - plan.start).total_seconds()
    for number in range(min(_LINES, int(seconds * _LINES) + 1)):
        text = lies[number // 10 % len(lies)] if number % 10 == 0 else f"{number} " + "junk " * 200
        yield Line(time=plan.start + timedelta(seconds=number / _LINES), text=text)
