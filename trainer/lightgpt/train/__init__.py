"""Training: from an order to checkpoints, metrics and results.

`run.train` is the whole of it; `loop` is the part that repeats. The command line is `lightgpt.cli`.
"""
