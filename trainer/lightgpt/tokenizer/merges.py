"""The merges of a SentencePiece BPE model as arrays: which two pieces make which third, and which merge goes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lightgpt.tokenizer.model_file import Piece, PieceType
from lightgpt.tokenizer.pieces import SPACE

Ids = npt.NDArray[np.int64]
NO_MERGE = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class Merges:
    """`keys` are left * V + right, sorted; `ranks` and `merged` belong to them; the lowest rank goes first."""

    vocab_size: int
    keys: Ids
    ranks: Ids
    merged: Ids

    def find(self, left: Ids, right: Ids) -> tuple[Ids, Ids]:
        """(rank, merged piece) of each pair; `NO_MERGE` where the two make no piece."""
        wanted = left * self.vocab_size + right
        places = np.minimum(np.searchsorted(self.keys, wanted), max(len(self.keys) - 1, 0))
        if not len(self.keys):
            return np.full(len(wanted), NO_MERGE), np.zeros(len(wanted), dtype=np.int64)
        ranks = np.where(self.keys[places] == wanted, self.ranks[places], NO_MERGE)
        return ranks, self.merged[places]


def merges_of(pieces: Sequence[Piece]) -> Merges:
    """Every pair of normal pieces whose texts, joined, are a normal piece."""
    ids = {piece.text: index for index, piece in enumerate(pieces) if _is_normal(piece)}
    rank_of_score = {
        score: rank
        for rank, score in enumerate(sorted({piece.score for piece in pieces}, reverse=True))
    }
    rows = sorted(
        (ids[text[:cut]] * len(pieces) + ids[text[cut:]], rank_of_score[pieces[index].score], index)
        for text, index in ids.items()
        for cut in range(1, len(text))
        if text[:cut] in ids and text[cut:] in ids
    )
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Merges(vocab_size=len(pieces), keys=table[:, 0], ranks=table[:, 1], merged=table[:, 2])


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """Each piece taken apart into pieces of one character; what cannot be taken apart stands for itself.

    The characters of piece i are `characters[starts[i] : starts[i] + lengths[i]]`. `begins_word[i]`: no merge reaches
    over the front of piece i.
    """

    characters: Ids
    starts: Ids
    lengths: Ids
    begins_word: npt.NDArray[np.bool_]

    def spell(self, ids: Ids) -> Ids:
        """The characters of `ids`, one behind the other."""
        lengths = self.lengths[ids]
        ends = np.cumsum(lengths)
        inside = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - lengths, lengths)
        found: Ids = self.characters[np.repeat(self.starts[ids], lengths) + inside]
        return found


def spelling_of(pieces: Sequence[Piece]) -> Spelling:
    """How each of `pieces` is spelled."""
    ids = {piece.text: index for index, piece in enumerate(pieces) if _is_normal(piece)}
    spelled = [
        [ids[character] for character in piece.text]
        if _is_normal(piece) and all(character in ids for character in piece.text)
        else [index]
        for index, piece in enumerate(pieces)
    ]
    lengths = np.array([len(characters) for characters in spelled], dtype=np.int64)
    space_only_begins = not any(SPACE in text[1:] for text in ids)
    return Spelling(
        characters=np.array([index for characters in spelled for index in characters]),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        begins_word=np.array(
            [
                not _is_normal(piece) or (space_only_begins and piece.text.startswith(SPACE))
                for piece in pieces
            ]
        ),
    )


def _is_normal(piece: Piece) -> bool:
    return piece.type is PieceType.NORMAL
