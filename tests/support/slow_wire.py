"""A slow line before a real server: bytes towards it pass at a rate that is set as the test goes on. Answers come back at once."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

_PIECE_BYTES = 4096


class SlowWire:
    """Listens on a port of its own. `bytes_per_second` is for all connections together; None is no limit."""

    def __init__(self, *, to: tuple[str, int], bytes_per_second: float | None = None) -> None:
        self.bytes_per_second = bytes_per_second
        self._to = to
        self._turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Where clients go instead."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._to)
                self._open += [client, server]
                for source, target, slow in ((client, server, True), (server, client, False)):
                    threading.Thread(
                        target=self._pass, args=(source, target, slow), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, target: socket.socket, slow: bool) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if slow:
                    self._wait(len(piece))
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _wait(self, size_bytes: int) -> None:
        with self._turn:
            if self.bytes_per_second is not None:
                time.sleep(size_bytes / self.bytes_per_second)
