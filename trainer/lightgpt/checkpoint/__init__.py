"""Checkpoints: saved without stalling the loop, committed by a sealed manifest, read back, loaded only when whole.

`store` is what the training loop holds; `reading` loads one checkpoint for any other command; `verify` judges a checkpoint
from anywhere. Nothing here knows the loop, the model's code (but for the expected names of tensors) or pickle.
"""
