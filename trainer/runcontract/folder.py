"""The layout of a run's output folder: every name that another program may rely on."""

from __future__ import annotations

ORDER = "order.yaml"
PROGRESS = "progress.jsonl"
METRICS = "metrics.csv"
AUDIT = "audit.json"
RESULTS = "results.json"
CHECKPOINTS = "checkpoints"
TENSORBOARD = "tensorboard"
TOKENIZER = "tokenizer"
