"""The resources as people write and read them: forms, bounds, words. It decides nothing and touches nothing.

A run on a laptop and a run on a cluster use the same document; `read` reads it from a file, and those of a TrainingCluster and a TrainingBudget too. `reasons`
holds every word that a status can say, each with its sentence.
"""

from lightcompute.api.money import USD, MicroUSD, format_usd, parse_usd
from lightcompute.api.read import (
    parse_resource,
    parse_training_run,
    read_resource,
    read_training_run,
)
from lightcompute.api.reasons import Reason
from lightcompute.api.spec import TrainingRunSpec
from lightcompute.api.status import TrainingRunStatus
from lightcompute.api.training_budget import TrainingBudget
from lightcompute.api.training_cluster import TrainingCluster
from lightcompute.api.training_run import Metadata, TrainingRun
from lightcompute.api.words import ConditionType, Phase

__all__ = [
    "USD",
    "ConditionType",
    "Metadata",
    "MicroUSD",
    "Phase",
    "Reason",
    "TrainingBudget",
    "TrainingCluster",
    "TrainingRun",
    "TrainingRunSpec",
    "TrainingRunStatus",
    "format_usd",
    "parse_resource",
    "parse_training_run",
    "parse_usd",
    "read_resource",
    "read_training_run",
]
