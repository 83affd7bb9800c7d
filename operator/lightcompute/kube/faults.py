"""What an API server's answers mean to us: which pass by themselves, which don't, and which are no faults at all for some callers.

The loop knows two kinds of fault (`lightcompute.backend`); the kinds below are told apart by callers inside `kube` only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from lightcompute.backend import Conflict, PermanentFault, TemporaryFault

_LONGEST_MESSAGE = 600
_LONGEST_WAIT_SECONDS = 300.0
_NO_SUCH_PATH = b"404 page not found"
"""What an API server says of a group that it does not serve."""


class NotFound(PermanentFault):
    """What was asked for does not exist."""


class AlreadyExists(PermanentFault):
    """Something of that name exists."""


class Forbidden(PermanentFault):
    """The server knows who we are, and does not let us: a right, a quota, an admission rule."""


class Unauthorized(TemporaryFault):
    """The server does not know who we are: a token has expired or is being rotated, or a proxy restarts."""


class Expired(TemporaryFault):
    """The version to go on from is too old for the server: list again."""


def fault_of(
    code: int, body: bytes, headers: Mapping[str, str], *, asked: str
) -> TemporaryFault | PermanentFault:
    """The fault that an answer with status `code` stands for; `asked` says what was asked, as in "POST .../jobs"."""
    reason, said = _status(body)
    message = f"{asked} was answered {code} {reason}: {said}"[:_LONGEST_MESSAGE]
    match code:
        case 404 if not body or _is_servers_own(body):
            return NotFound(message)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(message)
        case 409:
            return Conflict(message)
        case 410:
            return Expired(message)
        case 401:
            return Unauthorized(message, retry_after_seconds=_retry_after(headers))
        case 403:
            return Forbidden(message)
        case 400 | 405 | 406 | 413 | 415 | 422:
            return PermanentFault(message)
        case _:
            return TemporaryFault(message, retry_after_seconds=_retry_after(headers))


def _is_servers_own(body: bytes) -> bool:
    """Whether an API server wrote it. A proxy before one that is down knows nothing of what exists."""
    return bool(_status(body)[0]) or body.strip() == _NO_SUCH_PATH


def _status(body: bytes) -> tuple[str, str]:
    """Reason and message of a Status object; the text itself where it is none."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or document.get("kind") != "Status":
        return "", body[:200].decode("utf-8", errors="replace").strip()
    return str(document.get("reason") or ""), str(document.get("message") or "")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    return min(float(text), _LONGEST_WAIT_SECONDS) if text.isascii() and text.isdigit() else None
