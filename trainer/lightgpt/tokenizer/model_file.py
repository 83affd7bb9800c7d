"""Reads from a SentencePiece model file what its Python interface doesn't tell: the algorithm, and each piece's type and score.

A reader of protobuf's wire format for these fields, so that the protobuf package is not needed. Nothing else is parsed here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

_KINDS = {1: "Unigram", 2: "BPE", 3: "Word", 4: "Character"}


class PieceType(IntEnum):
    """What a piece is, by the format's numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Piece(NamedTuple):
    """An entry of the vocabulary. In BPE the merge that makes the piece of the higher score goes first."""

    text: str
    score: float
    type: PieceType


def piece_kind(model: bytes) -> str:
    """BPE, Unigram, Word or Character; raises ValueError for what is no SentencePiece model."""
    kind = 1  # the format's default
    for field, trainer_spec in _fields(model):
        if field == 2 and isinstance(trainer_spec, bytes):
            for inner, number in _fields(trainer_spec):
                if inner == 3 and isinstance(number, int):
                    kind = number
    if kind not in _KINDS:
        raise ValueError(f"model type {kind}")
    return _KINDS[kind]


def pieces_of(model: bytes) -> tuple[Piece, ...]:
    """The vocabulary in the order of its ids; raises ValueError for what is no SentencePiece model."""
    return tuple(
        _piece(content)
        for field, content in _fields(model)
        if field == 1 and isinstance(content, bytes)
    )


def _piece(content: bytes) -> Piece:
    text, score, number = "", 0.0, int(PieceType.NORMAL)
    for field, value in _fields(content):
        match field, value:
            case 1, bytes():
                text = value.decode()
            case 2, bytes():
                (score,) = struct.unpack("<f", value)
            case 3, int():
                number = value
            case _:
                continue
    return Piece(text, score, PieceType(number))


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of one message: numbers as int, everything with a length or a fixed size as bytes."""
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        match tag & 7:
            case 0:
                value, place = _varint(data, place)
                yield tag >> 3, value
                continue
            case 1:
                length = 8
            case 2:
                length, place = _varint(data, place)
            case 5:
                length = 4
            case other:
                raise ValueError(f"wire type {other}")
        if place + length > len(data):
            raise ValueError("truncated")
        yield tag >> 3, data[place : place + length]
        place += length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("truncated")
