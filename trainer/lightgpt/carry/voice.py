"""Standard output, which two threads write to: the program's lines as they are, and reports of our own between them."""

from __future__ import annotations

import sys
import threading
from typing import BinaryIO

from lightgpt.checkpoint.faults import CheckpointWarning
from lightgpt.train.reports import now
from runcontract.progress import Report, Warned, report_line


class Voice:
    """Writes whole lines only. A reader that has gone costs the lines, not the run."""

    def __init__(self, attempt: int, stream: BinaryIO | None = None) -> None:
        self.attempt = attempt
        self.step = 0
        """The newest step that was told of, for warnings."""
        self._stream = stream or sys.stdout.buffer
        self._lock = threading.Lock()
        self._mid_line = False

    def pass_on(self, raw: bytes) -> None:
        """Bytes of the program: a line, or a piece of one that is too long to be a report."""
        with self._lock:
            self._write(raw)
            self._mid_line = not raw.endswith(b"\n")

    def report(self, report: Report) -> None:
        """A report of our own, or one of the program's that was held back."""
        with self._lock:
            cut = b"\n" if self._mid_line else b""
            self._write(cut + report_line(report).encode() + b"\n")
            self._mid_line = False

    def warn(self, warning: CheckpointWarning) -> None:
        """A warning, and the same for people."""
        self.say(f"warning: {warning.message}")
        self.report(
            Warned(
                time=now(),
                attempt=self.attempt,
                step=self.step,
                reason=warning.reason,
                message=warning.message[:1024],
            )
        )

    def say(self, text: str) -> None:
        """A line for people, on standard error, which the program has too."""
        try:
            sys.stderr.write(f"carry: {text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return

    def _write(self, raw: bytes) -> None:
        try:
            self._stream.write(raw)
            self._stream.flush()
        except (OSError, ValueError):  # closed by the reader, or by the interpreter
            return
