"""Inputs and targets as arrays. B: sequences of a batch, T: tokens of a context."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lightgpt.data.prepared import TextPart
from lightgpt.data.shards import TokenSequence

NOT_SCORED = -1
Batch = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]


def batch(tokens: TokenSequence, offsets: npt.NDArray[np.int64], context_length: int) -> Batch:
    """(inputs_BT, targets_BT) of the windows at `offsets`: each target is the token behind its input."""
    windows = tokens.gather(offsets, context_length + 1)  # [B, T + 1]
    return np.ascontiguousarray(windows[:, :-1]), np.ascontiguousarray(windows[:, 1:])


def evaluation_windows(part: TextPart, context_length: int, batch_size: int) -> Iterator[Batch]:
    """Contiguous windows over the whole part: every token but the first is a target exactly once.

    All batches have the shape [batch_size, context_length]; what is beyond the text has target `NOT_SCORED`.
    """
    tokens = part.tokens
    scored = len(tokens) - 1
    per_batch = batch_size * context_length
    for start in range(0, scored, per_batch):
        span = tokens[start : start + per_batch + 1]
        inputs = np.zeros(per_batch, dtype=np.int64)
        targets = np.full(per_batch, NOT_SCORED, dtype=np.int64)
        here = len(span) - 1
        inputs[:here] = span[:-1]
        targets[:here] = span[1:]
        yield (
            inputs.reshape(batch_size, context_length),
            targets.reshape(batch_size, context_length),
        )
