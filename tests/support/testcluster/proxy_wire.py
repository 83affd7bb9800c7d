"""What the fault-injecting proxy says on the wire: headers that may pass, answers of its own, and resets."""

from __future__ import annotations

import asyncio
import socket
import struct
from http import HTTPStatus
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from support.testcluster.proxy_rules import Rule

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host"}
)
_REASONS = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
    422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


def passing(headers: Any) -> CIMultiDict[str]:
    """The headers that are about the message and not about one connection."""
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if name.lower() not in _HOP_BY_HOP:
            kept.add(name, value)
    return kept


def has_gone(request: web.Request) -> bool:
    """Whether nobody waits for the answer any more."""
    return request.transport is None or request.transport.is_closing()


def reset(transport: asyncio.BaseTransport | None) -> None:
    """Ends a connection with a reset instead of an orderly end."""
    if transport is None or transport.is_closing():
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert isinstance(transport, asyncio.Transport)
    transport.abort()


def status(code: int, retry_after_seconds: int | None = None) -> dict[str, Any]:
    """As an API server writes it."""
    reason = _REASONS.get(code, "")
    document: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": f"injected: {HTTPStatus(code).phrase}",
        "reason": reason,
        "code": code,
    }
    if retry_after_seconds is not None:
        document["details"] = {"retryAfterSeconds": retry_after_seconds}
    return document


def status_response(rule: Rule) -> web.Response:
    """The answer that a rule gives in the server's place."""
    wait = rule.retry_after_seconds
    return web.json_response(
        status(rule.status, wait),
        status=rule.status,
        headers={} if wait is None else {"Retry-After": str(wait)},
    )
