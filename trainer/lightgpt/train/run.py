"""`train`: one attempt from its order to its exit code. The place where every way to end is told, recorded and numbered."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import torch

from lightgpt.checkpoint.store import CheckpointStore
from lightgpt.divergence import DivergedError
from lightgpt.train.attempt import open_loop
from lightgpt.train.files import refuse_unwritable
from lightgpt.train.finish import test_loss
from lightgpt.train.loop import Loop
from lightgpt.train.loop_parts import Ending
from lightgpt.train.material import Material, Terms, gather
from lightgpt.train.reports import Reporter, now
from lightgpt.train.requests import Requests
from lightgpt.train.results import REASONS, tell_end, write_results
from lightgpt.train.stopping import Deadline, StopSignals
from lightgpt.train.verdict import judged, verdict_text
from lightgpt.train.world import read_world
from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault, StorageFault
from runcontract.losses import Loss
from runcontract.results import EndReason, Results, TargetVerdict

_CODES: dict[Ending, ExitCode] = {
    Ending.MAX_STEPS: ExitCode.DONE,
    Ending.EARLY: ExitCode.DONE,
    Ending.TARGET: ExitCode.DONE,
    Ending.BUDGET: ExitCode.BUDGET_REACHED,
    Ending.PREEMPTED: ExitCode.PREEMPTED,
}


@dataclass(frozen=True, kw_only=True)
class End:
    """How the attempt ended."""

    reason: EndReason
    exit_code: ExitCode
    message: str
    sample: str | None = None
    test: Loss | None = None


def train(terms: Terms, signals: StopSignals) -> Results | None:
    """Carries out one attempt; the results on rank 0, None on others.

    Raises a `ContractFault` for what was wrong before the first step, and `StopRequestedError` when a signal came before it:
    then nothing was written. What happens later ends in results.
    """
    deadline = Deadline(terms.environment.stop_after_seconds)
    world = read_world(terms.variables)
    if world.is_main:
        refuse_unwritable(terms.folder)
    # Before the data is prepared: what is asked for meanwhile is asked of this attempt.
    requests = Requests(_requests_folder(terms) if world.is_main else None, clock=monotonic)
    try:
        material = gather(terms, world)
        signals.note_only()
        with open_loop(terms, material, signals, deadline, requests) as (loop, reporter, store):
            end = _carried_out(terms, material, loop, store)
            if store is None:
                return None
            return _recorded(terms, material, loop, reporter, store, end)
    finally:
        world.leave()


def _requests_folder(terms: Terms) -> Path | None:
    folder = terms.environment.requests_folder
    return None if folder is None else Path(folder)


def _carried_out(
    terms: Terms, material: Material, loop: Loop, store: CheckpointStore | None
) -> End:
    try:
        ending = loop.run()
        sample, test = None, None
        if ending.is_of_the_order:
            sample = material.judge.sample(loop.state.step) if store is not None else None
            test = test_loss(
                material,
                terms.order.training,
                step=loop.state.step,
                store=store,
                interrupted=loop.interrupted,
            )
            if test is None and material.data.test is not None:
                ending = loop.outside_end() or ending
    except DivergedError as error:
        message = f"training diverged: {error}; the last good checkpoint is kept"
        return End(reason="Diverged", exit_code=ExitCode.DIVERGED, message=message)
    except ContractFault as fault:
        return End(
            reason=REASONS[fault.exit_code], exit_code=fault.exit_code, message=str(fault)[:1024]
        )
    return End(
        reason=ending.value,
        exit_code=_CODES[ending],
        message=_message(loop, ending, max_steps=material.plan.max_steps),
        sample=sample,
        test=test,
    )


def _message(loop: Loop, ending: Ending, *, max_steps: int) -> str:
    state = loop.state
    here = f"step {state.step} of {max_steps}"
    text = {
        Ending.MAX_STEPS: f"all {max_steps} steps done",
        Ending.EARLY: f"stopped at {here}: no improvement in {state.stale_evaluations} evaluations",
        Ending.TARGET: f"stopped at {here}: the target is met",
        Ending.BUDGET: f"the time that the budget pays for is over; saved at {here}",
        Ending.PREEMPTED: f"asked to stop; saved at {here}",
    }[ending]
    if state.best_validation is not None:
        best = state.best_validation
        text += (
            f"; best validation loss {best.nats_per_token:.4f} nats/token, {best.nats_per_character:.4f} nats/char, "
            f"{best.bits_per_byte:.4f} bits/byte at step {state.best_step}"
        )
    return text


def _recorded(
    terms: Terms,
    material: Material,
    loop: Loop,
    reporter: Reporter,
    store: CheckpointStore,
    end: End,
) -> Results:
    results = _results(terms, material, loop, store, end)
    try:
        write_results(terms.folder, results)
        store.send_documents()
    except StorageFault as fault:
        if end.exit_code is ExitCode.DONE:
            end = replace(
                end,
                reason="StorageFault",
                exit_code=ExitCode.STORAGE_FAULT,
                message=str(fault)[:1024],
            )
            results = _results(terms, material, loop, store, end)
    tell_end(terms.environment, results)
    reporter.finished(results)
    return results


def _results(
    terms: Terms, material: Material, loop: Loop, store: CheckpointStore, end: End
) -> Results:
    state, seconds = loop.state, loop.training_seconds
    tokens_taken = loop.steps_taken * material.pace.tokens_per_step
    target = _verdict(terms, material, state.best_validation, end.test)
    message = end.message
    if target is not None and end.exit_code is ExitCode.DONE:
        message += f"; {verdict_text(target, material.data.facts)}"
    return Results(
        reason=end.reason,
        message=message[:1024],
        exit_code=end.exit_code,
        attempt=terms.environment.attempt,
        steps=state.step,
        max_steps=material.plan.max_steps,
        epochs=material.pace.epoch(state.step),
        tokens=state.step * material.pace.tokens_per_step,
        parameters=material.model.parameter_count,
        started_time=terms.started_time,
        finished_time=now(),
        training_seconds=seconds,
        tokens_per_second=tokens_taken / seconds if seconds > 0 else 0.0,
        final_training_loss=state.training_loss,
        final_validation=state.validation if state.evaluated_step == state.step else None,
        best_validation=state.best_validation,
        best_step=state.best_step,
        test=end.test,
        target=target,
        tokenizer=material.data.facts,
        sample=None if end.sample is None else end.sample[:8000],
        checkpoints=store.inventory(),
        peak_memory_bytes=peak_memory_bytes(),
    )


def _verdict(
    terms: Terms, material: Material, validation: Loss | None, test: Loss | None
) -> TargetVerdict | None:
    target = terms.order.training.target
    if target is None:
        return None
    loss = validation if target.metric == "ValidationLoss" else test
    return judged(target, loss, material.data.facts)


def peak_memory_bytes() -> int:
    """Largest resident memory of this process so far, or of the GPU's allocator where there is one."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
