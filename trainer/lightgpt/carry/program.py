"""The program as a process: started, told to stop as its pod is, and its end as a number."""

from __future__ import annotations

import io
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import FrameType
from typing import cast

from runcontract.faults import ConfigurationFault, Fault, shortened

PATIENCE_SECONDS = 60
"""How long a program that was told to leave because its checkpoints reach nothing may take to do so."""
_SIGNAL_CODES = 128


class Program:
    """The program at work. It has a process group of its own, so that a signal for all of ours comes to it once, from here."""

    def __init__(self, command: Sequence[str], variables: Mapping[str, str]) -> None:
        """Starts it; raises `ConfigurationFault` when there is no such program."""
        try:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, bufsize=0, env=dict(variables), process_group=0
            )
        except OSError as error:
            raise ConfigurationFault(
                Fault(
                    where="command",
                    found=f"{shortened(command[0])}: {error.strerror}",
                    expected="a program that the image has",
                )
            ) from error
        self._told_to_leave_s: float | None = None

    @property
    def stdout(self) -> io.RawIOBase:
        """What it writes, unbuffered."""
        return cast("io.RawIOBase", self._process.stdout)

    @property
    def was_told_to_leave(self) -> bool:
        """Whether `end` was called."""
        return self._told_to_leave_s is not None

    def forward_signals(self) -> None:
        """From now on SIGTERM and SIGINT are the program's: its leader gets them, as it would without us."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._forward)

    def end(self) -> None:
        """Asks it to save and leave, once."""
        if self._told_to_leave_s is None:
            self._told_to_leave_s = time.monotonic()
            self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        """Sends it a signal; nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def wait(self, seconds: float) -> int | None:
        """Its exit code, 128 and the signal's number where one ended it, as shells say; None when it still runs after `seconds`."""
        told = self._told_to_leave_s
        if told is not None and time.monotonic() - told > PATIENCE_SECONDS:
            self._process.kill()
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None
        return code if code >= 0 else _SIGNAL_CODES - code

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self.send(number)
