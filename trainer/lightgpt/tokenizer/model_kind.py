"""Reads from a SentencePiece model file which algorithm it is of, which SentencePiece's Python interface doesn't tell.

A reader of protobuf's wire format for one field, so that the protobuf package is not needed. Nothing else is parsed here.
"""

from __future__ import annotations

from collections.abc import Iterator

_TRAINER_SPEC = 2
_MODEL_TYPE = 3
_KINDS = {1: "Unigram", 2: "BPE", 3: "Word", 4: "Character"}


def piece_kind(model: bytes) -> str:
    """BPE, Unigram, Word or Character; raises ValueError for what is no SentencePiece model."""
    kind = 1  # the format's default
    for field, value in _fields(model):
        if field == _TRAINER_SPEC and isinstance(value, bytes):
            for inner, number in _fields(value):
                if inner == _MODEL_TYPE and isinstance(number, int):
                    kind = number
    if kind not in _KINDS:
        raise ValueError(f"model type {kind}")
    return _KINDS[kind]


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        wire_type = tag & 7
        if wire_type == 0:
            value, place = _varint(data, place)
            yield tag >> 3, value
            continue
        if wire_type == 2:
            length, place = _varint(data, place)
        elif wire_type in {1, 5}:
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type}")
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
