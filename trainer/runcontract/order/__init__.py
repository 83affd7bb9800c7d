"""The order: everything a trainer is told before it starts, as one document.

`training` is the trainer's configuration and is, unchanged, `spec.training` of a TrainingRun. One module a part; this one
re-exports what both sides name.
"""

from runcontract.order.checkpoints import Checkpoints
from runcontract.order.data import Data
from runcontract.order.evaluation import EarlyStopping, Evaluation, Samples, Target
from runcontract.order.model import Model
from runcontract.order.optimizer import Averaging, Optimizer, Schedule
from runcontract.order.order import (
    FREE_TO_CHANGE,
    Order,
    RunIdentity,
    configuration_hash,
    read_order,
)
from runcontract.order.storage import Bucket, OrderStorage
from runcontract.order.tokenizer import Tokenizer
from runcontract.order.training import Training

__all__ = [
    "FREE_TO_CHANGE",
    "Averaging",
    "Bucket",
    "Checkpoints",
    "Data",
    "EarlyStopping",
    "Evaluation",
    "Model",
    "Optimizer",
    "Order",
    "OrderStorage",
    "RunIdentity",
    "Samples",
    "Schedule",
    "Target",
    "Tokenizer",
    "Training",
    "configuration_hash",
    "read_order",
]
