"""The columns of `metrics.csv`, each with its unit in its name.

A row stands for each step that is reported, at a pace that depends on the order alone. Two runs of one order on one machine
give the same values in the first group of columns, byte for byte; the second group holds clock readings.
"""

from __future__ import annotations

REPEATABLE_COLUMNS = (
    "step",
    "epoch",
    "tokens",
    "learning_rate",
    "gradient_norm",
    "training_loss_nats_per_token",
    "training_loss_nats_per_character",
    "training_loss_bits_per_byte",
    "validation_loss_nats_per_token",
    "validation_loss_nats_per_character",
    "validation_loss_bits_per_byte",
)
TIME_COLUMNS = ("elapsed_seconds", "tokens_per_second")
COLUMNS = REPEATABLE_COLUMNS + TIME_COLUMNS
