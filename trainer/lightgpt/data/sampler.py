"""Which windows of the training tokens each forward pass reads: a function of (seed, index) and nothing else.

An epoch is all non-overlapping windows of `context_length` tokens, from a random phase, in a random order. Forward pass
`index` reads the windows [index * batch_size, (index + 1) * batch_size) of the epochs, one behind the other, so a batch
may reach over the end of an epoch, no window is dropped, and a text smaller than a batch works too. No state: a resumed
run only needs its step. The random numbers are raw draws of Philox, which numpy keeps the same in every version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from runcontract.faults import ConfigurationFault, DataFault, Fault

Offsets = npt.NDArray[np.int64]


class WindowSampler:
    """Start offsets of windows. A window reads `context_length` tokens and the one behind them."""

    def __init__(self, *, tokens: int, context_length: int, batch_size: int, seed: int) -> None:
        if tokens <= context_length:
            raise DataFault(
                Fault(
                    where="training.model.contextLength",
                    found=f"{context_length}, and {tokens} tokens to learn from",
                    expected="at least one token more than the context",
                    action="Give more text or a shorter context.",
                )
            )
        self.windows_per_epoch = (tokens - 1) // context_length
        self.tokens = tokens
        self.context_length = context_length
        self.batch_size = batch_size
        self._seed = seed
        self._cached: tuple[int, Offsets] | None = None

    def steps_per_epoch(self, accumulation: int = 1) -> int:
        """Optimizer steps of `accumulation` forward passes until every window was read, rounded up."""
        return -(-self.windows_per_epoch // (self.batch_size * accumulation))

    def steps_for_epochs(self, epochs: int, accumulation: int = 1) -> int:
        """Optimizer steps until `epochs` epochs were read in full: rounded up once, not each epoch."""
        return -(-self.windows_per_epoch * epochs // (self.batch_size * accumulation))

    def epoch_of(self, index: int) -> float:
        """Epochs read when forward pass `index` begins."""
        return index * self.batch_size / self.windows_per_epoch

    def windows(self, index: int) -> tuple[tuple[int, Offsets], ...]:
        """(epoch, start offsets) of forward pass `index`; several epochs only where it reaches over an end."""
        place, remaining = index * self.batch_size, self.batch_size
        parts: list[tuple[int, Offsets]] = []
        while remaining:
            epoch, inside = divmod(place, self.windows_per_epoch)
            starts = self.epoch_offsets(epoch)[inside : inside + remaining]
            parts.append((epoch, starts))
            place += len(starts)
            remaining -= len(starts)
        return tuple(parts)

    def offsets(self, index: int) -> Offsets:
        """The `batch_size` start offsets of forward pass `index`."""
        return np.concatenate([starts for _, starts in self.windows(index)])

    def epoch_offsets(self, epoch: int) -> Offsets:
        """The start offsets of an epoch's windows, in the order in which they are read."""
        if self._cached is None or self._cached[0] != epoch:
            self._cached = (epoch, self._draw(epoch))
        return self._cached[1]

    def _draw(self, epoch: int) -> Offsets:
        generator = np.random.Philox(np.random.SeedSequence([self._seed, epoch]))
        phase = int(generator.random_raw() % self.context_length)
        starts = phase + self.context_length * np.arange(self.windows_per_epoch, dtype=np.int64)
        # The phase may push the last window over the end: it then overlaps the one before instead.
        starts = np.minimum(starts, self.tokens - 1 - self.context_length)
        return starts[np.argsort(generator.random_raw(len(starts)), kind="stable")]


def rank_slice(batch_size: int, *, rank: int, world_size: int) -> slice:
    """The contiguous part of a global batch that process `rank` reads; equal parts, so that means of gradients add up."""
    if batch_size % world_size:
        raise ConfigurationFault(
            Fault(
                where="training.batchSize",
                found=str(batch_size),
                expected=f"a multiple of the {world_size} processes, which share each batch",
            )
        )
    share = batch_size // world_size
    return slice(rank * share, (rank + 1) * share)
