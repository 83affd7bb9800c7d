"""A component as a plain process: it logs to a file, says when it is ready, is stopped by its id, and dies with whoever started it."""

from __future__ import annotations

import http.client
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lightcompute.local import leash

# Below the range that outgoing connections take their ports from, so that only another such choice can be in the way.
_PORTS = range(11_000, 32_000)
_LOOK_SECONDS = 0.03
_LOG_BYTES = 3000
# Without the system's authorities: reading those at each look would take more time than the components' own start.
_UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE


class Readiness(Protocol):
    """How a component says that it is ready."""

    def answers(self) -> bool:
        """Whether it does now."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a component says that it is ready."""

    port: int
    path: str
    secure: bool = True
    token: str = ""
    host: str = "127.0.0.1"

    def answers(self) -> bool:
        """Whether it answers 200. Whose certificate it shows does not matter here."""
        try:
            connection = self._connection()
            try:
                headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
                connection.request("GET", self.path, headers=headers)
                return connection.getresponse().status == http.HTTPStatus.OK
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False

    def _connection(self) -> http.client.HTTPConnection:
        if not self.secure:
            return http.client.HTTPConnection(self.host, self.port, timeout=5)
        return http.client.HTTPSConnection(self.host, self.port, timeout=5, context=_UNVERIFIED)


class Component:
    """One process that can be paused, killed and started again with the same arguments."""

    def __init__(self, name: str, command: tuple[str, ...], *, log: Path, ready: Readiness):
        self.name = name
        self.log = log
        self._command = command
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Number of the process that was started last."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or is paused."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it; what it says is added to its log."""
        assert not self.is_alive, f"{self.name} runs already as {self.pid}"
        # -I -S: the leash needs nothing of ours, and a bare interpreter starts in a few milliseconds.
        held = (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), *self._command)
        with self.log.open("ab") as log:
            # A session of its own: a Ctrl-C on the terminal is for whoever started it, who then stops it in order.
            self._process = subprocess.Popen(
                held, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_ready(self, seconds: float = 60) -> None:
        """Waits until it says that it is ready; raises RuntimeError with the end of its log when it dies or takes too long."""
        end = time.monotonic() + seconds
        while not self._ready.answers():
            if not self.is_alive:
                raise RuntimeError(f"{self.name} ended before it was ready:\n{self.last_words()}")
            if time.monotonic() > end:
                raise RuntimeError(
                    f"{self.name} was not ready after {seconds:.0f} s:\n{self.last_words()}"
                )
            time.sleep(_LOOK_SECONDS)

    def kill(self) -> None:
        """Ends it at once, paused or not, and waits until it is gone."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()

    def restart(self, seconds: float = 60) -> None:
        """Kills it, starts it again, and waits until it is ready."""
        self.kill()
        self.start()
        self.wait_ready(seconds)

    def pause(self) -> None:
        """It keeps its connections and answers nothing, like a machine that hangs."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Goes on after `pause`."""
        os.kill(self.pid, signal.SIGCONT)

    def last_words(self) -> str:
        """The end of its log, for messages."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[-_LOG_BYTES:].decode(errors="replace")


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of the loopback address that nobody listens on now."""
    found: set[int] = set()
    # Of its own: tests seed the common generator, and two workers with one seed would choose alike.
    choice = random.SystemRandom()
    while len(found) < count:
        port = choice.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return tuple(found)
