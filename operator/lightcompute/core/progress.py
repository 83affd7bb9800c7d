"""The newest of each kind of report that a trainer wrote: what is left of a log of any length.

A backend folds what it reads into this (`progress = progress.with_report(report)`) and hands the result over in the snapshot.
What a trainer says is shown and used for estimates and hangs; it never feeds the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from lightcompute.core.curve import Scored, with_score
from lightcompute.core.slowness import NOTHING_TOLD, Slowness
from runcontract.bounds import MAX_SECONDS
from runcontract.losses import Loss
from runcontract.progress import (
    CHECKPOINT_FAILED,
    CHECKPOINT_SLOW,
    Concluded,
    Described,
    Evaluated,
    Finished,
    Report,
    Saved,
    Started,
    Stepped,
    Warned,
)

MOST_SAVES = 32


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What one attempt has said so far. Reports of another attempt are dropped."""

    attempt: int
    started: Started | None = None
    described: Described | None = None
    stepped: Stepped | None = None
    evaluated: Evaluated | None = None
    best_validation: Loss | None = None
    scored: tuple[Scored, ...] = ()
    """Validation losses by rising steps, thinned out."""
    longest_save_seconds: float = 0
    """Time that the longest of all its saves took."""
    longest_step_seconds: float = 0
    """Time of a step, the longest that was told when it saved."""
    saves: tuple[Saved, ...] = ()
    """Checkpoints that it saved, in the order in which it did; of those that the newest save kept, the last MOST_SAVES."""
    warned: Warned | None = None
    first_failed_save: Warned | None = None
    """Of the saves that failed since the newest that did not, the first; None where the newest did not."""
    last_failed_save: Warned | None = None
    slowness: Slowness = NOTHING_TOLD
    """Whether saves keep up with the time between them."""
    concluded: Concluded | None = None
    finished: Finished | None = None
    newest_time: datetime | None = None
    """Largest time in a report, by the trainer's clock."""

    @property
    def saved(self) -> Saved | None:
        """The newest save."""
        return self.saves[-1] if self.saves else None

    @property
    def resumed_from(self) -> int | None:
        """Step that it began from, 0 for the very beginning; None where it has not said so."""
        return None if self.started is None else self.started.resumed_from_step or 0

    @property
    def step(self) -> int:
        """Optimizer steps done, as far as is told."""
        reports = (
            self.started,
            self.stepped,
            self.evaluated,
            self.saved,
            self.concluded,
            self.finished,
        )
        return max((report.step for report in reports if report is not None), default=0)

    @property
    def max_steps(self) -> int | None:
        """Steps of the whole run, as far as is told."""
        newest = self.stepped or self.started
        return newest.max_steps if newest is not None else None

    def with_report(self, report: Report) -> Progress:
        """This and one more report."""
        if report.attempt != self.attempt:
            return self
        known = replace(self, newest_time=_later(self.newest_time, report.time))
        match report:
            case Started():
                known = replace(known, started=report)
            case Described():
                known = replace(known, described=report)
            case Stepped():
                known = replace(known, stepped=report)
            case Evaluated():
                best = report.validation if report.best else known.best_validation
                scored = with_score(known.scored, Scored(step=report.step, loss=report.validation))
                known = replace(known, evaluated=report, best_validation=best, scored=scored)
            case Saved():
                known = _with_save(known, report)
            case Warned():
                known = _with_warning(known, report)
            case Concluded():
                known = replace(known, concluded=report)
            case Finished():
                known = replace(known, finished=report)
        return known


def _with_warning(known: Progress, new: Warned) -> Progress:
    known = replace(known, warned=new)
    if new.reason == CHECKPOINT_SLOW:
        return replace(known, slowness=known.slowness.with_warning(new))
    if new.reason != CHECKPOINT_FAILED:
        return known
    return replace(known, first_failed_save=known.first_failed_save or new, last_failed_save=new)


def _with_save(known: Progress, new: Saved) -> Progress:
    others = [each for each in known.saves if each.name != new.name]
    left = [each for each in others if not new.kept or each.name in new.kept]
    return replace(
        known,
        saves=(*left, new)[-MOST_SAVES:],
        longest_save_seconds=max(known.longest_save_seconds, new.save_seconds),
        longest_step_seconds=max(known.longest_step_seconds, _step_seconds(known.stepped)),
        first_failed_save=None,
        last_failed_save=None,
        slowness=known.slowness.with_save(new),
    )


def _step_seconds(stepped: Stepped | None) -> float:
    """Time of a step, by the speed and the tokens that were told; 0 where that is not known."""
    if stepped is None or stepped.step == 0 or stepped.tokens_per_second == 0:
        return 0
    return min(stepped.tokens / stepped.step / stepped.tokens_per_second, MAX_SECONDS)


def _later(known: datetime | None, new: datetime) -> datetime | None:
    if new.tzinfo is None:  # a time without zone is no time
        return known
    return new if known is None or new > known else known
