"""BPE-dropout (Provilkov and others, 2020): text encoded anew with merges left out at random, in numpy.

SentencePiece can do it, but its random numbers differ from process to process whatever seed it is given (measured with
0.2.3: `set_random_generator_seed(7)` repeats within a process and not across two), so a resumed run would read another
text. Here every draw is a raw draw of Philox, the same on each machine. With a share of 0 the outcome is SentencePiece's.

The tokens are taken apart into characters and merged again, all words at once: in each round every word does its own
first merge. A merge, when it becomes possible, is left out for good with the given probability, as SentencePiece does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lightgpt.tokenizer.merges import NO_MERGE, Ids, merges_of, spelling_of
from lightgpt.tokenizer.model_file import pieces_of

_BLOCK_TOKENS = 1 << 18
# Text without spaces is cut after so many characters: each round costs time, and a word takes a round for each merge.
_LONGEST_WORD = 256


class SubwordDropout:
    """Encodes tokens of one BPE model anew, leaving out `share` of the merges."""

    def __init__(self, model: bytes, share: float) -> None:
        pieces = pieces_of(model)
        self._merges = merges_of(pieces)
        self._spelling = spelling_of(pieces)
        self._left_out_below = np.uint64(share * 2.0**64)

    def with_share(self, share: float) -> SubwordDropout:
        """The same model's with another share; the tables, which take longer to make, are shared."""
        other = copy.copy(self)
        other._left_out_below = np.uint64(share * 2.0**64)  # noqa: SLF001 - of this class
        return other

    def encode_again(self, tokens: Ids, *, seed: int, epoch: int) -> Iterator[Ids]:
        """The text of `tokens` in other tokens, block by block: a function of the tokens, the seed and the epoch."""
        start = 0
        block = 0
        while start < len(tokens):
            end = self._end_of_block(tokens, start)
            generator = np.random.Philox(np.random.SeedSequence([seed, epoch, block]))
            yield self._merged(self._spelling.spell(tokens[start:end]), generator)
            start, block = end, block + 1

    def _end_of_block(self, tokens: Ids, start: int) -> int:
        if len(tokens) - start <= _BLOCK_TOKENS:
            return len(tokens)
        ahead = tokens[start + 1 : start + _BLOCK_TOKENS]
        words = np.flatnonzero(self._spelling.begins_word[ahead])
        return start + 1 + int(words[-1]) if len(words) else start + _BLOCK_TOKENS

    def _merged(self, characters: Ids, generator: np.random.Philox) -> Ids:
        # `text` holds a piece where one begins and -1 where a piece to the left has taken the place.
        text = characters.copy()
        words = _Words(characters, self._begins_word(characters))
        self._look_up(words, np.arange(len(characters)), generator)
        while words.keep_unfinished():
            here = words.first_merges()
            text[words.places[here]] = words.merged[here]
            text[words.places[here + 1]] = -1
            changed = words.merge(here)
            self._look_up(words, changed, generator)
        return text[text >= 0]

    def _begins_word(self, characters: Ids) -> npt.NDArray[np.bool_]:
        begins = self._spelling.begins_word[characters]
        begins[:1] = True
        place = np.arange(len(characters))
        first = np.maximum.accumulate(np.where(begins, place, 0))
        begins |= (place - first) % _LONGEST_WORD == 0
        return begins

    def _look_up(self, words: _Words, pairs: Ids, generator: np.random.Philox) -> None:
        """Finds the merges of the pairs that begin at `pairs`, and draws which of them are left out."""
        pairs = pairs[pairs < len(words.pieces) - 1]
        inside = pairs[~words.begins[pairs + 1]]
        words.ranks[inside], words.merged[inside] = self._merges.find(
            words.pieces[inside], words.pieces[inside + 1]
        )
        possible = inside[words.ranks[inside] != NO_MERGE]
        left_out = generator.random_raw(len(possible)) < self._left_out_below
        words.ranks[possible[left_out]] = NO_MERGE


class _Words:
    """Words that still have merges to do, one behind the other. A pair belongs to the place of its left piece."""

    def __init__(self, pieces: Ids, begins: npt.NDArray[np.bool_]) -> None:
        self.pieces = pieces
        self.begins = begins
        self.places = np.arange(len(pieces))
        self.ranks = np.full(len(pieces), NO_MERGE)
        self.merged = np.zeros(len(pieces), dtype=np.int64)
        self._lowest = self.ranks

    def keep_unfinished(self) -> bool:
        """Drops the words without a merge; False when none is left."""
        starts = np.flatnonzero(self.begins)
        if not len(starts):
            return False
        lengths = np.diff(starts, append=len(self.pieces))
        lowest = np.minimum.reduceat(self.ranks, starts)
        self._lowest = np.repeat(lowest, lengths)
        self._keep(self._lowest != NO_MERGE)
        return len(self.pieces) > 0

    def first_merges(self) -> Ids:
        """The place of each word's first merge: the leftmost of the lowest rank."""
        candidates = np.flatnonzero(self.ranks == self._lowest)
        word = np.cumsum(self.begins)[candidates]
        first: Ids = candidates[np.diff(word, prepend=-1) != 0]
        return first

    def merge(self, here: Ids) -> Ids:
        """Does the merges at `here` and gives the places whose pairs are new."""
        self.pieces[here] = self.merged[here]
        kept = np.ones(len(self.pieces), dtype=np.bool_)
        kept[here + 1] = False
        self._keep(kept)
        # Each merge took away one place behind its own.
        now = here - np.arange(len(here))
        self.ranks[now] = NO_MERGE
        before = now[~self.begins[now]] - 1
        self.ranks[before] = NO_MERGE
        return np.concatenate([before, now])

    def _keep(self, kept: npt.NDArray[np.bool_]) -> None:
        self.pieces = self.pieces[kept]
        self.begins = self.begins[kept]
        self.places = self.places[kept]
        self.ranks = self.ranks[kept]
        self.merged = self.merged[kept]
        self._lowest = self._lowest[kept]
