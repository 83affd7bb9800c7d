"""What the program says, line by line, and what of it waits."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator

from lightgpt.carry.voice import Voice
from runcontract.losses import Loss
from runcontract.progress import (
    MAX_LINE_BYTES,
    Concluded,
    Evaluated,
    Finished,
    Report,
    Saved,
    parse_report,
)

_READ_BYTES = 1 << 16
_LOOK_SECONDS = 0.05


class Listener:
    """Reads the program's standard output to its end, in a thread of its own. `saved` is called with each `checkpoint` report.

    `stream` is unbuffered: a buffer's lock, held by a thread that waits, would stand in the way of this process's own end.
    """

    def __init__(
        self,
        stream: io.RawIOBase | io.BytesIO,
        voice: Voice,
        *,
        saved: Callable[[Saved], None],
        evaluated: Callable[[int, Loss], None],
    ) -> None:
        self.last_words: list[Concluded | Finished] = []
        """Held until the program is gone and its last checkpoint is in the bucket."""
        self._stream = stream
        self._idle_since_s: float | None = None
        self._voice = voice
        self._saved = saved
        self._evaluated = evaluated
        self._thread = threading.Thread(target=self._listen, name="carry-listener", daemon=True)
        self._thread.start()

    def finish(self, *, seconds: float) -> None:
        """Waits for the end of what it says, for as long as there is something to do about it.

        A process that the program left behind may hold its output open: when nothing has come for `seconds` that is the end.
        """
        began_s = time.monotonic()
        while self._thread.is_alive():
            self._thread.join(_LOOK_SECONDS)
            idle_s = self._idle_since_s
            if idle_s is not None and time.monotonic() - max(idle_s, began_s) > seconds:
                return

    def _listen(self) -> None:
        whole = True
        for raw in self._pieces():
            report = parse_report(raw.rstrip(b"\r\n")) if whole else None
            whole = raw.endswith(b"\n")
            if report is None:
                self._voice.pass_on(raw)
            else:
                self._hear(report, raw)

    def _pieces(self) -> Iterator[bytes]:
        """Lines with their ends; of one that is longer than any report, pieces."""
        rest = b""
        while data := self._read():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line + b"\n"
            if len(rest) > MAX_LINE_BYTES:
                yield rest
                rest = b""
        if rest:
            yield rest

    def _read(self) -> bytes:
        self._idle_since_s = time.monotonic()
        try:
            return self._stream.read(_READ_BYTES) or b""
        except (ValueError, OSError):  # closed
            return b""
        finally:
            self._idle_since_s = None

    def _hear(self, report: Report, raw: bytes) -> None:
        self._voice.step = max(self._voice.step, report.step)
        match report:
            case Saved():
                self._saved(report)
            case Concluded() | Finished():
                self.last_words.append(report)
            case Evaluated():
                self._evaluated(report.step, report.validation)
                self._voice.pass_on(raw)
            case _:
                self._voice.pass_on(raw)
