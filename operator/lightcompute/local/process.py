"""Which process is meant: a number alone names another process as soon as it is used again.

An identity is the number with the moment the process started and the boot of the machine. Signals go through a file
descriptor of the process where the system has them, so that none reaches a successor of the same number.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """One process, told apart from every other that has or had its number."""

    pid: int
    started: str

    def record(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"pid": self.pid, "started": self.started}


def identity_from(record: dict[str, Any] | None) -> ProcessIdentity | None:
    """The identity in a record, or None when the record holds none."""
    pid = record.get("pid") if record else None
    started = record.get("started") if record else None
    if not isinstance(pid, int) or pid <= 1 or not isinstance(started, str) or not started:
        return None
    return ProcessIdentity(pid=pid, started=started)


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of the living process `pid`; None when there is none, or only its unread exit status."""
    started = _started(pid)
    return None if started is None else ProcessIdentity(pid=pid, started=started)


def is_alive(identity: ProcessIdentity | None) -> bool:
    """Whether the very process lives."""
    return identity is not None and identity_of(identity.pid) == identity


def send_signal(identity: ProcessIdentity | None, number: signal.Signals) -> bool:
    """Signals the very process; False when it is gone."""
    if identity is None:
        return False
    try:
        if hasattr(os, "pidfd_open"):
            return _send_by_descriptor(identity, number)
        if not is_alive(identity):
            return False
        os.kill(identity.pid, number)
    except ProcessLookupError:
        return False
    return True


def _send_by_descriptor(identity: ProcessIdentity, number: signal.Signals) -> bool:
    descriptor = os.pidfd_open(identity.pid)
    try:
        # The descriptor holds whatever process has the number now; only then is it asked who that is.
        if not is_alive(identity):
            return False
        signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
    return True


def processes_with_variables(variables: Mapping[str, str]) -> Iterator[ProcessIdentity]:
    """Living processes of this user that were started with all of `variables` in their environment."""
    wanted = {f"{name}={value}".encode() for name, value in variables.items()}
    if not _PROC.joinpath("self/environ").exists():
        return
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            matches = wanted <= set(entry.joinpath("environ").read_bytes().split(b"\0"))
        except OSError:  # Gone meanwhile, or another user's.
            continue
        identity = identity_of(int(entry.name)) if matches else None
        if identity is not None:
            yield identity


def _started(pid: int) -> str | None:
    if not _PROC.joinpath("self/stat").exists():
        return _started_by_ps(pid)
    try:
        text = _PROC.joinpath(str(pid), "stat").read_text(encoding="utf-8", errors="replace")
        boot = _PROC.joinpath("sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything; what follows the last one is the state and then numbers.
    state, *numbers = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else f"{boot}/{numbers[18]}"


def _started_by_ps(pid: int) -> str | None:
    """For systems without /proc (macOS)."""
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else " ".join(started.split())
