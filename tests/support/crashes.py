"""A process of ours that dies just before a chosen change of the disk, as a kill or a power cut would have it. Every such moment can be tried."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

_CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate"})
_DIED = 9


def crash_points(prepared: Callable[[], Callable[[], None]]) -> Iterator[int]:
    """For each moment, oldest first, at which what `prepared` gives may die: prepares, lets it die there, and yields its number.

    The last is that of one that came to its end.
    """
    point = 0
    while not _ends_before(point, prepared()):
        yield point
        point += 1
    assert point, "nothing was written at all"
    yield point


def _ends_before(point: int, act: Callable[[], None]) -> bool:
    child = os.fork()
    if child == 0:
        _die_at(point)
        try:
            act()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, _DIED}, f"it ended with {code}"
    return code == 0


def _die_at(point: int) -> None:
    left = point

    def seen(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if not _changes(event, arguments):
            return
        if left == 0:
            os._exit(_DIED)
        left -= 1

    sys.addaudithook(seen)


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    if event != "open":
        return event in _CHANGES
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
