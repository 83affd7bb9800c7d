"""A port of a pod on this machine: what is sent to it goes through the API server, so that nothing of the pod need be reachable.

Each connection is a WebSocket of its own, as `pods/NAME/portforward` gives it: a message's first byte names the stream (0 data,
1 error), and the first message of each stream holds the port alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.paths import PODS
from lightcompute.kube.remote_client import RemoteClient

HOST = "127.0.0.1"
DATA, ERROR = 0, 1
PIECE_BYTES = 1 << 15


class Broken(TemporaryFault):
    """The pod's side ended a connection with an error."""


@asynccontextmanager
async def forwarding(
    client: RemoteClient,
    *,
    namespace: str,
    pod: str,
    pod_port: int,
    port: int,
    note: Callable[[str], None],
) -> AsyncIterator[int]:
    """Listens on `port` of this machine (0 for any free one) for `pod_port` of `pod`; gives the port that it got.

    What goes wrong with a connection ends that connection, and is told to `note`.
    """
    path = PODS.named(namespace, pod, "portforward")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with client.websocket(path, (("ports", pod_port),)) as socket:
                await _pump(reader, writer, socket)
        except (TemporaryFault, PermanentFault) as fault:
            note(str(fault))
        except OSError:  # The browser left.
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, port)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    socket: aiohttp.ClientWebSocketResponse,
) -> None:
    """Both ways until either side ends."""
    ways = (
        asyncio.create_task(_to_pod(reader, socket)),
        asyncio.create_task(_from_pod(socket, writer)),
    )
    done, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for way in left:
        way.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await way
    for way in done:
        way.result()


async def _to_pod(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    while piece := await reader.read(PIECE_BYTES):
        await socket.send_bytes(bytes((DATA,)) + piece)


async def _from_pod(socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
    introduced: set[int] = set()
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        stream, piece = message.data[0], message.data[1:]
        if stream not in introduced:
            introduced.add(stream)
        elif stream == ERROR:
            raise Broken(f"the pod said: {piece.decode('utf-8', errors='replace').strip()}")
        elif stream == DATA:
            writer.write(piece)
            await writer.drain()
