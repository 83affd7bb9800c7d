"""The loop: steps, evaluations, saves, and every reason to end.

What it does at a step depends on the order and the step alone, so a run that was killed and resumed does the same; clocks and
signals only decide when it leaves, and it leaves between two steps with a checkpoint behind it. The clock and people may decide
when it saves, which changes no number. Processes that train together come to every collective operation at the same steps: what one of
them alone noticed (a signal, a deadline) is agreed on first. To save is none: rank 0 alone does it, from what it has.
"""

from __future__ import annotations

import math
import time

import torch

from lightgpt.divergence import DivergedError
from lightgpt.train.loop_parts import Desk, Ending, Judge, Pace
from lightgpt.train.plan import Plan
from lightgpt.train.state import LoopState
from lightgpt.train.step import StepOutcome, Stepper
from lightgpt.train.stopping import Deadline, StopSignals
from lightgpt.train.world import World
from runcontract.losses import Loss
from runcontract.order import EarlyStopping


class Loop:
    """One attempt's loop. `desk` is None on other ranks than 0."""

    def __init__(
        self,
        stepper: Stepper,
        state: LoopState,
        plan: Plan,
        *,
        world: World,
        judge: Judge,
        desk: Desk | None,
        pace: Pace,
        signals: StopSignals,
        deadline: Deadline,
        early_stopping: EarlyStopping | None,
    ) -> None:
        self.state = state
        self.training_seconds = 0.0
        self.steps_taken = 0
        self._stepper = stepper
        self._plan = plan
        self._world = world
        self._judge = judge
        self._desk = desk
        self._pace = pace
        self._signals = signals
        self._deadline = deadline
        self._early_stopping = early_stopping
        # Reading numbers back makes a GPU wait for its queue; on a CPU it is free.
        self._look_every = 1 if world.device.type == "cpu" else 8
        self._unread: list[StepOutcome] = []
        self._step_s = 0.0
        self._evaluation_s = 0.0

    def run(self) -> Ending:
        """Trains to an end, saves, and says which end it was.

        Raises `DivergedError` before anything bad is saved, and `StorageFault` when saving has failed too often.
        """
        ending = self._settle() or self._order_end()
        while ending is None:
            ending = self._outside_end() or self._advance()
        self._leave()
        return ending

    def _advance(self) -> Ending | None:
        """Takes one step and does all that is due after it; the end that it came to, if any."""
        self._step()
        step = self.state.step
        if self._plan.has_row(step) or self._plan.saves(step) or step % self._look_every == 0:
            self._read_numbers()
        if (interrupted := self._settle()) is not None:
            return interrupted
        if self._desk is not None:
            self._tell(self._desk)
        return self._order_end()

    def _step(self) -> None:
        began_s = time.perf_counter()
        self._unread.append(self._stepper.take(self.state.step))
        self.state.step += 1
        self.steps_taken += 1
        taken_s = time.perf_counter() - began_s
        self.training_seconds += taken_s
        self._step_s = max(taken_s, 0.9 * self._step_s)

    def _read_numbers(self) -> None:
        """Brings losses and gradient norms back from the device, as means over the processes; raises `DivergedError`."""
        if not self._unread:
            return
        began_s = time.perf_counter()
        outcomes = torch.stack([torch.stack((o.loss, o.gradient_norm)) for o in self._unread])
        rows = self._world.mean(outcomes.double()).tolist()
        first = self.state.step - len(rows) + 1
        self._unread.clear()
        for step, (loss, norm) in enumerate(rows, start=first):
            for what, value in (("training loss", loss), ("gradient norm", norm)):
                if not math.isfinite(value):
                    raise DivergedError(f"the {what} became {value} at step {step}")
            self.state.note_step(
                loss=loss, gradient_norm=norm, learning_rate=self._stepper.learning_rate(step - 1)
            )
        self.training_seconds += time.perf_counter() - began_s

    def _settle(self) -> Ending | None:
        """Evaluates and records what the present step owes; the ending that came from outside instead, if one did.

        A resumed run comes here first: it may owe its step an evaluation that it was too late for.
        """
        step, state = self.state.step, self.state
        best = False
        if self._plan.evaluates(step) and state.evaluated_step != step:
            scored = self._scored()
            if isinstance(scored, Ending):
                return scored
            patience = self._early_stopping
            best = state.note_evaluation(scored, min_delta=patience.min_delta if patience else 0.0)
        if state.recorded_step != step and self._plan.has_row(step):
            state.recorded_step = step
            self._record(best=best)
        return None

    def _record(self, *, best: bool) -> None:
        state = self.state
        if self._desk is None:
            state.row_losses.take()
            return
        if state.evaluated_step == state.step and state.validation is not None:
            self._desk.saving.note_validation(state.step, state.validation)
            self._desk.recorder.evaluation(state, best=best, sample=self._judge.sample(state.step))
        self._desk.recorder.row(
            state, epoch=self._pace.epoch(state.step), training_s=self.training_seconds
        )

    def _scored(self) -> Loss | Ending:
        ending = self._agreed(self._evaluation_s)
        if ending is not None:
            return ending
        began_s = time.perf_counter()
        loss = self._judge.score(self.interrupted)
        self._evaluation_s = max(self._evaluation_s, time.perf_counter() - began_s)
        if loss is not None:
            return loss
        ending = self._agreed()
        assert ending is not None, "a signal or a deadline that was seen does not go away"
        return ending

    def _tell(self, desk: Desk) -> None:
        """Rank 0's duties after a step: progress, saves that ended, the save that is due."""
        state = self.state
        epoch = self._pace.epoch(state.step)
        if not self._unread:
            desk.recorder.progress(state, epoch=epoch, training_s=self.training_seconds)
        desk.saving.look(state.step)
        # What no step decides waits until all numbers are read, which all processes do together.
        asked = not self._unread and self._is_asked(desk)
        by_time = not self._unread and desk.saving.is_due_by_time()
        planned = by_time or self._plan.saves(state.step)
        if asked or planned:
            desk.recorder.sync()
            tokens = state.step * self._pace.tokens_per_step
            desk.saving.begin(state, epoch=epoch, tokens=tokens, planned=planned)

    def _is_asked(self, desk: Desk, *, at_once: bool = False) -> bool:
        """Takes in what people want: pins are passed on; whether the checkpoint of this step is asked for, which is told."""
        step = self.state.step
        for complaint in desk.requests.look(at_once=at_once):
            desk.recorder.warn("RequestUnreadable", complaint, step)
        desk.saving.pin(desk.requests.pins)
        request = desk.requests.take()
        if request is not None:
            desk.saving.answer(request, step)
        return request is not None

    def _leave(self) -> None:
        """Saves where the loop stands and waits until that is safe."""
        self._read_numbers()
        if self._desk is None or self.state.step == 0:
            return
        state = self.state
        # A pin of the last moment holds for the last deletions; a request is answered by the save that follows anyway.
        self._is_asked(self._desk, at_once=True)
        self._desk.recorder.sync()
        self._desk.saving.finish(
            state,
            epoch=self._pace.epoch(state.step),
            tokens=state.step * self._pace.tokens_per_step,
        )

    def _order_end(self) -> Ending | None:
        """The end that the order itself has come to."""
        state = self.state
        if state.evaluated_step == state.step and state.validation is not None:
            if self._judge.ends_run(state.validation):
                return Ending.TARGET
            patience = self._early_stopping
            if patience is not None and state.stale_evaluations >= patience.patience:
                return Ending.EARLY
        return Ending.MAX_STEPS if state.step >= self._plan.max_steps else None

    def interrupted(self) -> bool:
        """Whether this process alone knows of a reason to leave."""
        return self._outside() > 0

    def outside_end(self) -> Ending | None:
        """The end that a signal or the deadline asks for, agreed on now."""
        return self._agreed()

    def _outside_end(self) -> Ending | None:
        """The end that a signal or the deadline asks for, looked for at a steady pace of steps."""
        return None if self.state.step % self._look_every else self._agreed()

    def _agreed(self, work_s: float = 0.0) -> Ending | None:
        """The same end in all processes, when one of them has to leave or cannot do `work_s` of work before it has to."""
        return _OUTSIDE[self._world.most(self._outside(work_s))]

    def _outside(self, work_s: float = 0.0) -> int:
        """Index into `_OUTSIDE` of what this process alone knows."""
        if self._signals.requested():
            return 2
        save_s = self._desk.saving.expected_seconds() if self._desk is not None else 0.0
        steps_s = self._step_s * self._look_every
        return int(not self._deadline.allows(work_s=max(work_s, steps_s), save_s=save_s))


_OUTSIDE = (None, Ending.BUDGET, Ending.PREEMPTED)
"""In the order of what wins when processes differ."""
