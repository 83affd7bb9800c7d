"""A kubelet's port-forwarding for pods that run in name only: what a browser asks of the port is answered here, or by a program of the test.

It speaks the kubelet's half of the WebSocket protocol `v4.channel.k8s.io`: two streams a port (data, error), each begun by a
message that holds the port, two bytes with the low one first.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from contextlib import suppress
from typing import Any, Self

from aiohttp import WSMsgType, web

from support.testcluster.control_plane import ControlPlane
from support.testcluster.loops import LoopThread

PROTOCOL = "v4.channel.k8s.io"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ncurves"


class PortKubelet:
    """A node with such a kubelet."""

    def __init__(self, plane: ControlPlane) -> None:
        self.node = f"ports-{uuid.uuid4().hex[:6]}"
        self.asked: list[tuple[str, str]] = []
        """Pod and port of each connection."""
        self.refuses = ""
        """What the error stream says instead of an answer."""
        self.leads_to: int | None = None
        """Port of this machine on which something real answers instead."""
        self._plane = plane
        self._loop = LoopThread("kubelet-ports")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(plane.layout.ca_file, plane.layout.certificates / "apiserver.key")
        self._runner, self.port = self._loop.run(self._serve(context))

    @classmethod
    def start(cls, plane: ControlPlane) -> Self:
        """Joins the cluster."""
        kubelet = cls(plane)
        plane.api.post("/api/v1/nodes", {"metadata": {"name": kubelet.node}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
        }
        plane.api.patch(f"/api/v1/nodes/{kubelet.node}/status", {"status": status})
        return kubelet

    def stop(self) -> None:
        """Leaves it."""
        self._plane.api.delete(f"/api/v1/nodes/{self.node}")
        self._loop.run(self._runner.cleanup())
        self._loop.stop()

    async def _serve(self, context: ssl.SSLContext) -> tuple[web.AppRunner, int]:
        application = web.Application()
        application.router.add_get("/portForward/{namespace}/{pod}", self._forward)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        addresses: list[Any] = runner.addresses
        return runner, int(addresses[0][1])

    async def _forward(self, request: web.Request) -> web.WebSocketResponse:
        port = request.query["port"]
        self.asked.append((request.match_info["pod"], port))
        answer = web.WebSocketResponse(protocols=(PROTOCOL,))
        await answer.prepare(request)
        for stream in (0, 1):
            await answer.send_bytes(bytes((stream,)) + int(port).to_bytes(2, "little"))
        if self.refuses:
            await answer.send_bytes(b"\x01" + self.refuses.encode())
        if self.leads_to is not None:
            await _passed_on(answer, self.leads_to)
            return answer
        request_text = b""
        async for message in answer:
            if message.type is WSMsgType.BINARY and message.data[:1] == b"\x00":
                request_text += message.data[1:]
            if b"\r\n\r\n" in request_text:
                # Split, as a network may.
                await answer.send_bytes(b"\x00" + ANSWER[:10])
                await answer.send_bytes(b"\x00" + ANSWER[10:])
                break
        await answer.close()
        return answer


async def _passed_on(answer: web.WebSocketResponse, port: int) -> None:
    """Bytes both ways between the stream of data and the port, until either end closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def back() -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1 << 15):
                await answer.send_bytes(b"\x00" + data)
        await answer.close()

    returning = asyncio.create_task(back())
    async for message in answer:
        if message.type is WSMsgType.BINARY and message.data[:1] == b"\x00":
            writer.write(message.data[1:])
    writer.close()
    returning.cancel()
