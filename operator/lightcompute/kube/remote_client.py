"""What a person's commands ask of an API server besides what the operator asks: to apply a document, and to open a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from urllib.parse import urlencode

import aiohttp

from lightcompute.backend import TemporaryFault
from lightcompute.kube.client import ClusterClient, Document, Query
from lightcompute.kube.faults import fault_of

APPLY_PATCH = "application/apply-patch+yaml"
FIELD_MANAGER = "lightcompute"
CHANNELS = "v4.channel.k8s.io"
"""Subprotocol of streams in an API server's WebSocket: the first byte of a message says which stream it is of."""


class RemoteClient(ClusterClient):
    """A `ClusterClient` for the command line."""

    async def apply(
        self, path: str, body: Document, *, force: bool = False, dry_run: bool = False
    ) -> Document:
        """Server-side apply: the fields of `body` become ours, made or changed; the others stay.

        Raises Conflict where somebody else set a field to another value, unless `force`.
        """
        query: list[tuple[str, str]] = [
            ("fieldManager", FIELD_MANAGER),
            ("force", str(force).lower()),
        ]
        if dry_run:
            query.append(("dryRun", "All"))
        return await self._json("PATCH", path, query, body=body, content_type=APPLY_PATCH)

    @asynccontextmanager
    async def websocket(
        self, path: str, query: Query
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket of streams at `path`. Raises the fault of the answer where the server does not open it."""
        headers = {"User-Agent": "lightcompute"}
        settings = cast("dict[str, dict[str, str]]", await self._configuration.auth_settings())
        for setting in settings.values():
            headers[setting["key"]] = setting["value"]
        rest = self._api.rest_client
        session = rest.pool_manager
        assert session is not None, "the pod was read before, which opened the session"
        # https becomes wss, http ws.
        url = f"ws{self.server.removeprefix('http')}{path}?{urlencode(tuple(query))}"
        try:
            async with session.ws_connect(
                url, protocols=(CHANNELS,), headers=headers, proxy=rest.proxy, compress=0
            ) as socket:
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            raise fault_of(error.status, b"", {}, asked=f"GET {path}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise TemporaryFault(f"GET {path} was not answered: {error}") from error
