"""The Tiny Shakespeare text, where this machine has it: tests download nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runcontract.environment import TINYSHAKESPEARE
from support.source import CHECKOUT


def tinyshakespeare() -> Path:
    """The file that the environment names, or the one beside the checkout; skips the test where there is neither."""
    given = os.environ.get(TINYSHAKESPEARE)
    path = Path(given) if given else CHECKOUT.parent / "shared" / "data" / "tinyshakespeare.txt"
    if not path.is_file():
        pytest.skip(f"the text is not on this machine: set {TINYSHAKESPEARE} to its path")
    return path
