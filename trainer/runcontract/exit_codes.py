"""How a trainer process ends, as a number that its supervisor can act on without reading a log.

The codes stay clear of 1 and 2 (an interpreter's own), of 64-78 (sysexits) and of 126 and above (shells and signals).
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The trainer's exit codes; the Job's pod failure policy and the local executor decide by them."""

    DONE = 0
    INTERNAL_ERROR = 1
    CONFIGURATION_FAULT = 10
    DATA_FAULT = 11
    BUDGET_REACHED = 12
    PREEMPTED = 13
    BROKEN_CHECKPOINT = 14
    DIVERGED = 15
    STORAGE_FAULT = 16

    @property
    def is_resumable(self) -> bool:
        """Whether another attempt goes on from the last checkpoint without anybody mending anything."""
        return self in {ExitCode.PREEMPTED, ExitCode.BUDGET_REACHED}

    @property
    def is_users_fault(self) -> bool:
        """Whether the same order would end the same way: another attempt only costs money."""
        return self in {
            ExitCode.CONFIGURATION_FAULT,
            ExitCode.DATA_FAULT,
            ExitCode.BROKEN_CHECKPOINT,
            ExitCode.DIVERGED,
        }


DESCRIPTIONS: dict[ExitCode, str] = {
    ExitCode.DONE: "the order was carried out to its end",
    ExitCode.INTERNAL_ERROR: "the trainer failed in a way it did not foresee",
    ExitCode.CONFIGURATION_FAULT: "the order cannot be carried out as written",
    ExitCode.DATA_FAULT: "the text, the data set or the tokenizer cannot be used",
    ExitCode.BUDGET_REACHED: "the time that the budget pays for is over; a checkpoint was saved",
    ExitCode.PREEMPTED: "asked to stop; a checkpoint was saved and another attempt goes on from it",
    ExitCode.BROKEN_CHECKPOINT: "no checkpoint could be loaded, or it belongs to another configuration",
    ExitCode.DIVERGED: "the loss became infinite or not a number; the last good checkpoint was kept",
    ExitCode.STORAGE_FAULT: "the output folder could not be written",
}
