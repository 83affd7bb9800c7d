"""Where there is no terminal: few lines, each with something new."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from itertools import pairwise

import pytest
from rich.console import Console

from lightcompute.api import Phase, Reason
from lightcompute.cli.display import LINE_SECONDS, PlainDisplay, picture, progress_line
from lightcompute.cli.view import RunView
from lightcompute.core.decision import Event
from runcontract.losses import Loss

LOSS = Loss(nats_per_token=2.0, nats_per_character=1.0, bits_per_byte=1.5)
VIEW = RunView(
    name="run", phase=Phase.RUNNING, reason="", message="it runs", attempt=1, step=1, max_steps=3000, training_loss=4.25,
    validation=None, best_validation=None, tokens_per_second=12345.6, remaining_seconds=250.0, spent=41_200,
    forecast=2_500_000, limit=20_000_000, has_price=True, saves=None, sample="", unit="NatsPerCharacter",
)  # fmt: skip


class Screen:
    """What was written, and a clock that a test moves."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.time = 100.0
        self.display = PlainDisplay(write=self.lines.append, clock=lambda: self.time)


def test_a_line_has_every_number_with_its_unit() -> None:
    line = progress_line(replace(VIEW, step=120, validation=LOSS))
    assert line == (
        "step 120/3,000 (4%) | training loss 4.2500 nats/token | validation loss 2.0000 nats/token = 1.0000 nats/character"
        " | 12,346 tokens/s | 4 min 10 s left | $0.0412 so far, about $2.50 at the end, at most $20.00"
    )


def test_progress_is_told_every_few_seconds_only() -> None:
    screen = Screen()
    for step in range(400):
        screen.time += 0.25
        screen.display.show(replace(VIEW, step=step), "")
    lines = [line for line in screen.lines if line.startswith("step")]
    assert len(lines) == pytest.approx(100 / LINE_SECONDS, abs=2)
    assert all(earlier != later for earlier, later in pairwise(lines))


def test_nothing_is_told_when_nothing_moves() -> None:
    screen = Screen()
    for _ in range(100):
        screen.time += 10
        screen.display.show(VIEW, "")
    assert len(screen.lines) == 2


def test_a_change_of_phase_is_told_at_once_with_its_reason() -> None:
    screen = Screen()
    screen.display.show(VIEW, "")
    screen.display.show(replace(VIEW, phase=Phase.SUSPENDED, message="spec.suspend is true"), "")
    assert screen.lines[-1] == "suspended: spec.suspend is true"


def test_a_validation_loss_is_told_once() -> None:
    screen = Screen()
    for step in range(3):
        screen.time += 10
        screen.display.show(replace(VIEW, step=step, validation=LOSS), "")
    assert sum("validation loss" in line for line in screen.lines) == 1


def test_trouble_is_told_once_and_warnings_always() -> None:
    screen = Screen()
    screen.display.show(VIEW, "no space left")
    screen.display.show(VIEW, "no space left")
    assert screen.lines.count("waiting: no space left") == 1
    screen.display.tell(Event(type="Warning", reason=Reason.HANG, message="it hangs"))
    screen.display.tell(Event(type="Normal", reason=Reason.CHOSEN, message="chosen"))
    assert screen.lines[-1] == "warning: it hangs"


def test_a_sample_is_drawn_as_text_and_never_as_markup() -> None:
    console = Console(width=100, force_terminal=False)
    with console.capture() as captured:
        console.print(picture(replace(VIEW, sample="[bold]O Romeo[/bold]\n"), "a [red]fault[/red]"))
    drawn = captured.get()
    assert "[bold]O Romeo[/bold]" in drawn
    assert "a [red]fault[/red]" in drawn
    assert "4.2500 nats/token" in drawn
    assert "$0.0412 so far" in drawn


def test_who_waits_for_money_is_told_so_once_and_again_when_it_is_something_else() -> None:
    screen = Screen()
    waiting = replace(VIEW, phase=Phase.PENDING, reason=Reason.WAITING_FOR_BUDGET)
    for message in ("team has $1.00 left", "team has $1.00 left", "team has $2.00 left"):
        screen.display.show(replace(waiting, message=message), "")
    screen.display.show(VIEW, "")
    screen.display.show(replace(waiting, message="team has $2.00 left"), "")
    starts = [line.partition(". It starts")[0] for line in screen.lines if "pending" in line]
    assert starts == [f"pending: team has ${amount}.00 left" for amount in (1, 2, 2)]


def test_the_picture_of_a_run_that_waits_for_money_says_what_for() -> None:
    waiting = replace(
        VIEW, phase=Phase.PENDING, reason=Reason.WAITING_FOR_BUDGET, message="team is spent"
    )
    console = Console(width=120, record=True, file=StringIO())
    console.print(picture(waiting, ""))
    said = console.export_text()
    assert "team is spent" in said
    assert "Ctrl-C leaves" in said
    assert "saves" not in said
