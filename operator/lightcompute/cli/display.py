"""A run as it goes on: a picture that is drawn anew in a terminal, a line every few seconds anywhere else.

rich is imported only where there is a terminal to draw on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import click

from lightcompute.api import Phase
from lightcompute.cli import text
from lightcompute.cli.view import RunView
from lightcompute.core.decision import Event

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

LINE_SECONDS = 5.0
_PICTURE_SECONDS = 0.5
WAITS = "It starts when there is room: when another run ends, a period begins or the limit is raised. Ctrl-C leaves."


class Display(Protocol):
    """Where a run is shown."""

    def show(self, view: RunView, trouble: str) -> None:
        """Takes notice of how the run is now; `trouble` is what keeps it from going on, or nothing."""

    def tell(self, event: Event) -> None:
        """Something worth telling once."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def display_for_output() -> Display:
    """A picture where standard output is a terminal, else lines."""
    return LiveDisplay() if sys.stdout.isatty() else PlainDisplay()


class PlainDisplay:
    """One line when something changed, and no more than one in `LINE_SECONDS` for progress."""

    def __init__(
        self,
        write: Callable[[str], None] = click.echo,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._clock = clock
        self._next_at = 0.0
        self._phase: Phase | None = None
        self._step = -1
        self._trouble = ""
        self._waits_for = ""
        self._validation = ""

    def show(self, view: RunView, trouble: str) -> None:
        """Writes a line if there is something new and it is time."""
        if trouble and trouble != self._trouble:
            self._write(f"waiting: {trouble}")
        self._trouble = trouble
        if view.waits_for_money:
            self._phase = None
            self._wait_for_money(view)
        elif view.phase is not self._phase:
            self._phase, self._waits_for = view.phase, ""
            self._write(f"{view.phase.lower()}: {view.message}" if view.message else view.phase)
        moved = view.step != self._step and view.training_loss is not None
        if moved and self._clock() >= self._next_at:
            self._step = view.step
            self._next_at = self._clock() + LINE_SECONDS
            # A loss that was told already says nothing new.
            is_new = view.validation_text() != self._validation
            self._validation = view.validation_text()
            self._write(progress_line(view, with_validation=is_new))

    def _wait_for_money(self, view: RunView) -> None:
        """Whenever what it waits for changed."""
        if view.message != self._waits_for:
            self._waits_for = view.message
            self._write(f"pending: {view.message}. {WAITS}")

    def tell(self, event: Event) -> None:
        """Writes warnings; what is normal shows in the phase."""
        if event.type == "Warning":
            self._write(f"warning: {event.message}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


def progress_line(view: RunView, *, with_validation: bool = True) -> str:
    """How far the run is, as one line with units."""
    share = "" if view.share is None else f" ({view.share:.0%})"
    speed = view.tokens_per_second
    validation = view.validation_text() if with_validation else ""
    parts = (
        f"step {view.step_text()}{share}",
        f"training loss {view.training_text()}" if view.training_text() else "",
        f"validation loss {validation}" if validation else "",
        "" if speed is None else f"{text.count(speed)} tokens/s",
        "" if view.remaining_seconds is None else f"{text.duration(view.remaining_seconds)} left",
        view.cost_text(),
    )
    return " | ".join(part for part in parts if part)


class LiveDisplay:
    """The picture: a bar, the numbers, and the newest line that the model wrote."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live: Live = Live(auto_refresh=False, transient=True)
        self._drawn_at = 0.0
        self._phase: Phase | None = None

    def show(self, view: RunView, trouble: str) -> None:
        """Draws the run, twice a second at most, and at once when its phase changes."""
        now = time.monotonic()
        if now - self._drawn_at < _PICTURE_SECONDS and view.phase is self._phase:
            return
        self._drawn_at, self._phase = now, view.phase
        self._live.update(picture(view, trouble), refresh=True)

    def tell(self, event: Event) -> None:
        """Writes warnings above the picture."""
        if event.type == "Warning":
            self._live.console.print(f"warning: {event.message}", style="yellow", markup=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def picture(view: RunView, trouble: str) -> RenderableType:
    """The run as rich draws it. What a model wrote is text, never markup."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    for name, value in _rows(view):
        if value:
            rows.add_row(name, Text(value))
    share = view.share
    bar = Table.grid()  # A bar alone does not end its line.
    bar.add_row(ProgressBar(total=1.0, completed=share or 0.0, pulse=share is None, width=60))
    percent = "" if share is None else f"  {share:.0%}"
    head = Text.assemble((view.name, "bold"), f"  {view.phase}{percent}")
    body: list[RenderableType] = [head, bar, rows]
    if trouble:
        body.append(Text(f"waiting: {trouble}", style="yellow"))
    last = WAITS if view.waits_for_money else "Ctrl-C saves and leaves."
    body.append(Text(last, style="dim"))
    return Group(*body)


def _rows(view: RunView) -> tuple[tuple[str, str], ...]:
    speed = view.tokens_per_second
    best = view.best_validation
    sample = next((line for line in reversed(view.sample.splitlines()) if line.strip()), "")
    return (
        ("step", view.step_text() if view.step or view.max_steps else ""),
        ("training loss", view.training_text()),
        ("validation loss", view.validation_text()),
        ("best", "" if best is None else text.loss_in(best, view.unit)),
        ("speed", "" if speed is None else f"{text.count(speed)} tokens/s"),
        ("time left", "" if view.remaining_seconds is None else text.duration(view.remaining_seconds)),
        ("cost", view.cost_text()),
        ("it writes", sample[:100]),
        ("state", view.message if view.training_loss is None or view.waits_for_money else ""),
    )  # fmt: skip
