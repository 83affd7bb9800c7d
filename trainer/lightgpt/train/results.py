"""`results.json` and the termination message: the last thing that a run writes, however it ends. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from lightgpt.train.files import write_atomically
from lightgpt.train.reports import Reporter, now
from runcontract.environment import AttemptEnvironment
from runcontract.exit_codes import ExitCode
from runcontract.folder import RESULTS
from runcontract.progress import Finished
from runcontract.results import EndReason, Results, TerminationMessage

REASONS: dict[ExitCode, EndReason] = {
    ExitCode.INTERNAL_ERROR: "InternalError",
    ExitCode.CONFIGURATION_FAULT: "ConfigurationFault",
    ExitCode.DATA_FAULT: "DataFault",
    ExitCode.PREEMPTED: "Preempted",
    ExitCode.BROKEN_CHECKPOINT: "BrokenCheckpoint",
    ExitCode.STORAGE_FAULT: "StorageFault",
}
"""Why an attempt ended that never came to its loop."""


def write_results(folder: Path, results: Results) -> None:
    """Puts `results.json` into the folder; raises `StorageFault`."""
    text = results.model_dump_json(by_alias=True, exclude_none=True, indent=1)
    write_atomically(folder / RESULTS, f"{text}\n")


def tell_end(environment: AttemptEnvironment, results: Results) -> None:
    """Leaves the results as the supervisor's short message."""
    leave_message(
        environment,
        TerminationMessage(
            exit_code=results.exit_code,
            reason=results.reason,
            message=results.message,
            step=results.steps,
            final_validation=results.final_validation,
            best_validation=results.best_validation,
            target=results.target,
        ),
    )


def tell_early_end(environment: AttemptEnvironment, exit_code: ExitCode, message: str) -> None:
    """Tells the supervisor of an attempt that ended before its loop: nothing else of it remains."""
    reason = REASONS[exit_code]
    leave_message(
        environment,
        TerminationMessage(exit_code=exit_code, reason=reason, message=message[:1024]),
    )
    Reporter(journal=None).report(
        Finished(
            time=now(),
            attempt=environment.attempt,
            step=0,
            exit_code=exit_code,
            reason=reason,
            message=message[:1024],
        )
    )


def leave_message(environment: AttemptEnvironment, message: TerminationMessage) -> None:
    """Puts the message where the supervisor looks for it; where that cannot be written the exit code still tells."""
    if environment.termination_log is None:
        return
    try:
        Path(environment.termination_log).write_text(message.text(), encoding="utf-8")
    except OSError:
        return
