"""The training part as a stream of batches: sampler, gather, and with `subwordDropout` the text encoded anew each epoch.

Everything is a function of (tokens, seed, index); what is kept between calls is a cache.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lightgpt.data.batches import Batch, batch
from lightgpt.data.prepared import PreparedData
from lightgpt.data.sampler import WindowSampler
from lightgpt.data.shards import TokenSequence, token_dtype
from lightgpt.tokenizer.pieces import PieceTokenizer
from lightgpt.tokenizer.subword_dropout import SubwordDropout
from runcontract.faults import DataFault, Fault
from runcontract.order import Training

_EPOCHS_KEPT = 2  # a batch reaches over the end of an epoch into the next


class TrainingStream:
    """Batches by index.

    With subword dropout every epoch has another length. The number of windows is that of the first, so that a run's length is
    known before it starts; in the others they lie a little closer together or further apart.
    """

    def __init__(self, data: PreparedData, training: Training) -> None:
        self._tokens = data.training.tokens
        self._seed = training.seed
        self._context_length = training.model.context_length
        self._dtype = token_dtype(data.tokenizer.vocab_size)
        self._dropout = _subword_dropout(data, training)
        self._first_share = training.subword_dropout
        self._last_share = training.subword_dropout_final
        self._passes: int | None = None
        self._epochs: dict[int, TokenSequence] = {}
        self.sampler = WindowSampler(
            tokens=len(self.epoch_tokens(0)),
            context_length=self._context_length,
            batch_size=training.batch_size,
            seed=training.seed,
        )

    def batch(self, index: int, part: slice = slice(None)) -> Batch:
        """(inputs_BT, targets_BT) of forward pass `index`: its `part` of the global batch."""
        place = 0
        batches: list[Batch] = []
        wanted = range(*part.indices(self.sampler.batch_size))
        for epoch, starts in self.sampler.windows(index):
            here = slice(max(wanted.start - place, 0), max(wanted.stop - place, 0))
            if len(starts[here]):
                tokens = self.epoch_tokens(epoch)
                offsets = self._fitted(starts[here], len(tokens))
                batches.append(batch(tokens, offsets, self._context_length))
            place += len(starts)
        inputs, targets = zip(*batches, strict=True)
        return np.concatenate(inputs), np.concatenate(targets)

    def runs_for(self, passes: int) -> None:
        """Tells the forward passes of the whole run, which a dropout that changes over it depends on."""
        self._passes = passes

    def epoch_tokens(self, epoch: int) -> TokenSequence:
        """The training part as epoch `epoch` reads it."""
        if self._dropout is None:
            return self._tokens
        if epoch not in self._epochs:
            while len(self._epochs) >= _EPOCHS_KEPT:
                del self._epochs[min(self._epochs)]
            dropout = self._dropout.with_share(self._share(epoch))
            blocks = dropout.encode_again(self._tokens[:], seed=self._seed, epoch=epoch)
            array = np.concatenate([block.astype(self._dtype) for block in blocks])
            self._epochs[epoch] = TokenSequence([array])
        return self._epochs[epoch]

    def _share(self, epoch: int) -> float:
        """Share of merges left out in an epoch: linear in the part of the run that is done when the epoch begins."""
        if self._last_share is None or epoch == 0:
            return self._first_share
        assert self._passes is not None, "the length of the run was not told"
        begins = epoch * self.sampler.windows_per_epoch / self.sampler.batch_size
        done = min(begins / self._passes, 1.0)
        return self._first_share + (self._last_share - self._first_share) * done

    def epoch_starts(self, epoch: int) -> npt.NDArray[np.int64]:
        """Where the windows of an epoch begin in its own tokens, in the order in which they are read."""
        return self._fitted(self.sampler.epoch_offsets(epoch), len(self.epoch_tokens(epoch)))

    def _fitted(self, starts: npt.NDArray[np.int64], tokens: int) -> npt.NDArray[np.int64]:
        """`starts`, which were drawn for the first epoch's length, spread evenly over an epoch of `tokens`."""
        reach = tokens - 1 - self._context_length
        drawn_for = self.sampler.tokens - 1 - self._context_length
        return starts if reach == drawn_for else starts * reach // max(drawn_for, 1)


def _subword_dropout(data: PreparedData, training: Training) -> SubwordDropout | None:
    if not training.subword_dropout and not training.subword_dropout_final:
        return None
    tokenizer = data.tokenizer
    if not isinstance(tokenizer, PieceTokenizer) or tokenizer.kind != "BPE":
        raise DataFault(
            Fault(
                where="training.subwordDropout",
                found=f"{training.subword_dropout} with a tokenizer of type {tokenizer.kind}",
                expected="0: only a BPE tokenizer has merges to leave out",
            )
        )
    return SubwordDropout(tokenizer.model, training.subword_dropout)
