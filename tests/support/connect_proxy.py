"""A proxy on the loopback address that knows CONNECT and nothing else, as a company's does: it sees where, and not what."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import Self

from support.testcluster.loops import LoopThread


class ConnectProxy:
    """It lives in a thread of its own. With `user`, as `name:password`, it lets nobody else through."""

    def __init__(self, user: str = "") -> None:
        self.asked: list[str] = []
        """Where connections were asked for, as `host:port`."""
        self.refused = 0
        """How many of them came without the right user."""
        self._user = user
        self._loop = LoopThread("connect-proxy")
        self._server = self._loop.run(asyncio.start_server(self._serve, "127.0.0.1", 0))

    @classmethod
    def start(cls, user: str = "") -> Self:
        """Starts one on a free port."""
        return cls(user)

    @property
    def url(self) -> str:
        """Where it is, with its user."""
        port = self._server.sockets[0].getsockname()[1]
        return f"http://{self._user}{self._user and '@'}127.0.0.1:{port}"

    def stop(self) -> None:
        """Ends it and every connection through it."""
        self._loop.loop.call_soon_threadsafe(self._server.close)
        self._loop.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
            method, where, _ = head[0].split()
            self.asked.append(where)
            if self._user and self._proof() not in head:
                self.refused += 1
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            elif method != "CONNECT":
                writer.write(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n")
            else:
                await self._tunnel(where, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _proof(self) -> str:
        return f"Proxy-Authorization: Basic {base64.b64encode(self._user.encode()).decode()}"

    async def _tunnel(
        self, where: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        host, _, port = where.rpartition(":")
        theirs, ours = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, ours), _copy(theirs, writer))
        finally:
            ours.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(1 << 16):
            target.write(piece)
            await target.drain()
    target.close()
