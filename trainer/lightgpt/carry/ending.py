"""How a carried program ends: its own exit code and last words, unless what they promise is not so."""

from __future__ import annotations

from pathlib import Path

from lightgpt.carry.voice import Voice
from lightgpt.train.reports import now
from lightgpt.train.results import REASONS, leave_message
from runcontract.environment import AttemptEnvironment
from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault
from runcontract.progress import Concluded, Finished
from runcontract.results import TerminationMessage

_SAY_THAT_IT_IS_SAVED = {ExitCode.DONE, ExitCode.BUDGET_REACHED, ExitCode.PREEMPTED}


def exit_code(
    code: int,
    fault: ContractFault | None,
    *,
    environment: AttemptEnvironment,
    told_to_leave: bool,
) -> int:
    """The exit code of the attempt whose program ended with `code`; `fault` is what kept its last checkpoint from the bucket.

    A code that says that the work is saved is not true then. So is none of a program that was told to leave because of the
    fault. Any other is kept: it says more of what a person has to mend.
    """
    if fault is None:
        return code
    word = _last_word(environment)
    # torchrun makes 1 of every code of its processes; what they meant is in the last word.
    meant = word.exit_code if word is not None and code == ExitCode.INTERNAL_ERROR else code
    return fault.exit_code if told_to_leave or meant in _SAY_THAT_IT_IS_SAVED else code


def tell(
    environment: AttemptEnvironment,
    voice: Voice,
    last_words: list[Concluded | Finished],
    fault: ContractFault | None,
) -> None:
    """Tells the program's last words; with `fault`, which decides the exit code, what is so instead."""
    if fault is None:
        for report in last_words:
            voice.report(report)
        return
    finished = Finished(
        time=now(),
        attempt=environment.attempt,
        step=voice.step,
        exit_code=fault.exit_code,
        reason=REASONS[fault.exit_code],
        message=str(fault)[:1024],
    )
    changed = {
        "exit_code": finished.exit_code,
        "reason": finished.reason,
        "message": finished.message,
    }
    for report in last_words:
        if isinstance(report, Concluded):
            voice.report(report.model_copy(update=changed))
    voice.report(finished)
    known = _last_word(environment) or TerminationMessage(
        exit_code=finished.exit_code,
        reason=finished.reason,
        message=finished.message,
        step=voice.step,
    )
    leave_message(environment, known.model_copy(update=changed))


def _last_word(environment: AttemptEnvironment) -> TerminationMessage | None:
    """What the program left, where it is of the documented form."""
    if environment.termination_log is None:
        return None
    try:
        text = Path(environment.termination_log).read_text("utf-8")
        return TerminationMessage.model_validate_json(text)
    except (OSError, ValueError):
        return None
