"""Which checkpoints are kept of a trainer that follows no manifest: one pure rule over names that a pattern matches.

Nothing is known of them but a number in their name, so nothing is verified and none is the best. Files and folders of one number (the
weights beside the optimizer) are one checkpoint: they stay or go together. Names without a number are nobody's business here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from runcontract.bounds import MAX_COUNT

PATTERN_FORM = (
    r"^([A-Za-z0-9_=+-][A-Za-z0-9_.=+-]*/){0,7}"
    r"([A-Za-z0-9_=+-]|[*?]+[A-Za-z0-9_.=+-])[A-Za-z0-9_.*?=+-]*$"
)
"""Folders by their names, and a last part in which `*` and `?` may stand beside other characters. Nothing hidden, no way up."""
MAX_PATTERN_CHARACTERS = 100

_NUMBER = re.compile(r"[0-9]+")


class NameReason(StrEnum):
    """Why names of one number stay."""

    LATEST = "Latest"
    PINNED = "Pinned"
    WRITTEN_LAST = "WrittenLast"


@dataclass(frozen=True, kw_only=True)
class NamedRetention:
    """The outcome: every name with a number is below one number in exactly one of `kept` and `deleted`."""

    names: Mapping[int, tuple[str, ...]]
    kept: Mapping[int, frozenset[NameReason]]
    deleted: tuple[int, ...]


def parts_of(pattern: str) -> tuple[tuple[str, ...], str]:
    """The folders that a pattern leads through, and what a name in the last one must match."""
    *folders, last = pattern.split("/")
    return tuple(folders), last


def matches(name: str, last: str) -> bool:
    """Whether `name` matches the last part of a pattern; hidden names match none."""
    return not name.startswith(".") and fnmatchcase(name, last)


def number_in(name: str) -> int | None:
    """The last whole number in `name`, an ending such as `.h5` left aside; None when there is none, or none that counts steps."""
    stem, dot, ending = name.rpartition(".")
    if dot and not ending.isdigit():
        name = stem
    found = _NUMBER.findall(name)
    if not found or len(found[-1]) > len(str(MAX_COUNT)) or int(found[-1]) > MAX_COUNT:
        return None
    return int(found[-1])


def retain_named(
    names: Iterable[str],
    *,
    keep_latest: int,
    pinned: frozenset[int] = frozenset(),
    written_last: str | None = None,
) -> NamedRetention:
    """Parts `names` by their numbers: the `keep_latest` highest stay, pinned ones, and that of the name that was `written_last`.

    The last is for a trainer that has begun anew and counts from 0 beside what an earlier attempt left. Raises ValueError when
    `keep_latest` is below one.
    """
    if keep_latest < 1:
        raise ValueError(f"keep_latest is {keep_latest}; at least 1 is kept")
    known: dict[int, list[str]] = {}
    for name in sorted(set(names)):
        number = number_in(name)
        if number is not None:
            known.setdefault(number, []).append(name)
    latest = set(sorted(known)[-keep_latest:])
    newest = None if written_last is None else number_in(written_last)

    def reasons(number: int) -> frozenset[NameReason]:
        rules = {
            NameReason.LATEST: number in latest,
            NameReason.PINNED: number in pinned,
            NameReason.WRITTEN_LAST: number == newest,
        }
        return frozenset(reason for reason, holds in rules.items() if holds)

    kept = {number: why for number in sorted(known) if (why := reasons(number))}
    return NamedRetention(
        names={number: tuple(of_number) for number, of_number in sorted(known.items())},
        kept=kept,
        deleted=tuple(number for number in sorted(known) if number not in kept),
    )
