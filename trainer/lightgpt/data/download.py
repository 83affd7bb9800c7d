"""Fetches one file of known hash over HTTP(S), bounded in size and time.

It keeps nothing on disk: what it gives is whole and verified.
"""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request

from runcontract.faults import DataFault, Fault

_READ_BYTES = 1 << 16


def download(
    address: str,
    *,
    sha256: str,
    size_bytes: int,
    action: str,
    seconds: float = 120.0,
    stall_seconds: float = 20.0,
) -> bytes:
    """The content of `address`; raises `DataFault`, with `action`, when it is not what it should be."""

    def fault(found: str, expected: str) -> DataFault:
        return DataFault(Fault(where=address, found=found, expected=expected, action=action))

    try:
        content = _fetch(address, size_bytes + 1, time.monotonic() + seconds, stall_seconds)
    except urllib.error.HTTPError as error:
        with error:  # it is an answer too, with a connection of its own
            raise fault(f"HTTP status {error.code}", "an answer with the file") from error
    except TimeoutError as error:
        raise fault("no answer in time", f"{size_bytes} bytes within {seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise fault(str(error) or type(error).__name__, "an answer with the file") from error
    if len(content) > size_bytes:
        raise fault(f"more than {size_bytes} bytes", f"{size_bytes} bytes")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise fault(
            f"{len(content)} bytes of SHA-256 {found}", f"{size_bytes} bytes of SHA-256 {sha256}"
        )
    return content


def _fetch(address: str, limit_bytes: int, deadline_s: float, stall_seconds: float) -> bytes:
    content = bytearray()
    # The addresses are constants of this program, so no scheme is a surprise.
    with urllib.request.urlopen(address, timeout=stall_seconds) as answer:  # noqa: S310
        while len(content) < limit_bytes:
            if time.monotonic() > deadline_s:
                raise TimeoutError
            read = answer.read1(min(_READ_BYTES, limit_bytes - len(content)))
            if not read:
                break
            content += read
    return bytes(content)
