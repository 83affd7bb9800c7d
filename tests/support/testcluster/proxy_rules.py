"""What a fault-injecting proxy does to which requests, and what it has seen. Values and a ledger; no network."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Fault(StrEnum):
    """What befalls a request."""

    ANSWER = "Answer"
    """It never reaches the server; a status is answered in its place."""
    DROP_REQUEST = "DropRequest"
    """It never reaches the server; the connection is reset."""
    DROP_RESPONSE = "DropResponse"
    """The server carries it out, and the connection is reset before the answer arrives."""
    DELAY = "Delay"
    """It reaches the server later."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request as the proxy saw it. `status` is None while it is under way, and for one that was dropped."""

    method: str
    path: str
    time: datetime
    is_watch: bool
    status: int | None = None
    seconds: float | None = None
    fault: Fault | None = None


@dataclass(kw_only=True)
class Rule:
    """A fault for the requests whose method and path with query match; `times` None means all of them."""

    fault: Fault
    method: str = ""
    path: str = ""
    times: int | None = 1
    status: int = 0
    retry_after_seconds: int | None = None
    delay_seconds: float = 0
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether it speaks of such a request and is not used up."""
        if self.times is not None and self.hits >= self.times:
            return False
        return _matches(self.method, self.path, method, path)


@dataclass(kw_only=True)
class Ledger:
    """The rules in force and the requests seen; used by the test's thread and the proxy's."""

    rules: list[Rule] = field(default_factory=list)
    _seen: list[Seen] = field(default_factory=list)
    _first: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, rule: Rule) -> Rule:
        """Puts a rule in force, behind those that are."""
        with self._lock:
            self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Drops all rules."""
        with self._lock:
            self.rules.clear()

    def take(self, method: str, path: str) -> Rule | None:
        """The first rule that speaks of the request, counted as used."""
        with self._lock:
            for rule in self.rules:
                if rule.matches(method, path):
                    rule.hits += 1
                    return rule
        return None

    def note(self, seen: Seen) -> int:
        """Records a request; gives its number."""
        with self._lock:
            self._seen.append(seen)
            return len(self._seen) - 1

    def amend(self, number: int, change: Callable[[Seen], Seen]) -> None:
        """Records how a request ended."""
        with self._lock:
            self._seen[number] = change(self._seen[number])

    def requests(self, method: str = "", path: str = "") -> tuple[Seen, ...]:
        """What was seen, oldest first."""
        with self._lock:
            return tuple(
                seen
                for seen in self._seen[self._first :]
                if _matches(method, path, seen.method, seen.path)
            )

    def forget(self) -> None:
        """Starts counting anew; what is under way keeps its number."""
        with self._lock:
            self._first = len(self._seen)


def _matches(method: str, path: str, found_method: str, found_path: str) -> bool:
    return bool(re.search(method, found_method) and re.search(path, found_path))
