"""What is wanted of an attempt as it runs: two small files in a folder that its supervisor may change at any time.

In a cluster the folder holds the run's annotations, on a laptop whoever asks writes there. Pure text: what cannot be read is a
fault of whoever wrote it, never of the training.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runcontract.bounds import MAX_COUNT
from runcontract.faults import shortened

CHECKPOINT_NOW = "checkpoint-now"
"""File: each new text in it asks for one checkpoint. Empty or missing asks for nothing."""
PINS = "pins"
"""File: steps whose checkpoints retention leaves alone, as `100,200`. Empty or missing pins none."""
MAX_REQUEST_BYTES = 128
MAX_PINS_BYTES = 16_384
"""A file that is longer is no good; readers read no further."""


class UnreadableRequest(ValueError):
    """The text of a request is none; the message says what it is."""


@dataclass(frozen=True, kw_only=True)
class Pins:
    """The steps that a text names, and what in it is no step; both may be there."""

    steps: frozenset[int] = frozenset()
    unreadable: str = ""


def parse_request(raw: bytes) -> str:
    """The id of the request in `raw`, "" for none; raises `UnreadableRequest` for what is too long or not printable."""
    if len(raw) > MAX_REQUEST_BYTES:
        raise UnreadableRequest(f"more than {MAX_REQUEST_BYTES} bytes")
    try:
        text = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise UnreadableRequest(f"{shortened(raw)}, which is not UTF-8") from error
    if not text.isprintable():
        raise UnreadableRequest(f"{shortened(text)}, which is not printable")
    return text


def parse_pins(raw: bytes) -> Pins:
    """The steps in `raw`. What is no step is told and takes nothing from those beside it."""
    text = raw[:MAX_PINS_BYTES].decode(errors="replace")
    too_long = ""
    if len(raw) > MAX_PINS_BYTES:
        # The last number may be cut in half, and would be another.
        text, too_long = text.rpartition(",")[0], f"more than {MAX_PINS_BYTES} bytes"
    items = [item for each in text.split(",") if (item := each.strip())]
    wrong = [item for item in items if not _is_step(item)]
    return Pins(
        steps=frozenset(int(item) for item in items if _is_step(item)),
        unreadable=too_long or (shortened(",".join(wrong)) if wrong else ""),
    )


def pins_text(steps: Iterable[int]) -> str:
    """`steps` as a text that `parse_pins` reads."""
    return ",".join(str(step) for step in sorted(set(steps)))


def _is_step(item: str) -> bool:
    return item.isascii() and item.isdigit() and len(item) <= 16 and int(item) <= MAX_COUNT
