"""The words of a status that are no reasons: phases, and the questions that conditions answer, each with the sentence that explains it."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Word(StrEnum):
    """A StrEnum whose members carry a sentence."""

    sentence: str

    def __new__(cls, value: str, sentence: str = "") -> Self:
        word = str.__new__(cls, value)
        word._value_ = value
        word.sentence = sentence
        return word


class Phase(Word):
    """Where a run is, in one word. Derived: conditions say why."""

    PENDING = (
        "Pending",
        "It waits: for a place, for the end of a back-off, or for a fault in its spec to be mended.",
    )
    STARTING = (
        "Starting",
        "A place is reserved and an attempt recorded; its processes are not seen yet.",
    )
    RUNNING = "Running", "An attempt is alive."
    STOPPING = (
        "Stopping",
        "The attempt was asked to save and leave, and is not confirmed gone; it still costs money.",
    )
    VERIFYING = (
        "Verifying",
        "An attempt came to the end; its checkpoints are verified once more where they lie. Nothing of it trains or costs money.",
    )
    SUSPENDED = (
        "Suspended",
        "It holds because spec.suspend is true; false goes on from the last checkpoint.",
    )
    BUDGET_EXHAUSTED = (
        "BudgetExhausted",
        "What is left of the budget pays for nothing useful; a higher limit goes on from the last checkpoint.",
    )
    SUCCEEDED = (
        "Succeeded",
        "The order was carried out to its end. Whether the target was met is another question: see TargetMet.",
    )
    FAILED = "Failed", "It ended without result and is not tried again until its spec is changed."
    STOPPED = "Stopped", "It was ended for good at a person's word; its checkpoints are kept."  # fmt: skip


class ConditionType(Word):
    """The questions that a status answers with True, False or Unknown."""

    ACCEPTED = "Accepted", "Can the run be carried out as written?"
    SCHEDULED = "Scheduled", "Does it hold a place?"
    RUNNING = "Running", "Is an attempt alive?"
    CHECKPOINT_READY = "CheckpointReady", "Is there a verified checkpoint to go on from?"
    BUDGET_EXHAUSTED = "BudgetExhausted", "Is the rest of the budget too small to go on?"
    SUSPENDED = "Suspended", "Does the run hold because spec.suspend is true?"
    SUCCEEDED = "Succeeded", "Did it come to its end with a result?"
    FAILED = "Failed", "Did it end without one?"
    TARGET_MET = "TargetMet", "Did it reach the loss that spec.training.target names?"  # fmt: skip


class ClusterConditionType(Word):
    """The questions that the status of a TrainingCluster answers."""

    ACCEPTED = "Accepted", "Can the cluster be used as written?"
    REACHABLE = "Reachable", "Does it answer, and may we do there what we have to?"
    POOLS_MATCH = "PoolsMatch", "Does each pool have nodes, and each node one pool?"  # fmt: skip


class BudgetConditionType(Word):
    """The questions that the status of a TrainingBudget answers."""

    ACCEPTED = "Accepted", "Can the budget be kept as written?"


FINISHED = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.STOPPED})
"""Phases of runs that are over; `ttlSecondsAfterFinished` counts from there."""
