"""Prints a lock without what Debian's python3-torch brings: PyTorch for CPUs, what it needs, and what speaks numpy with it.

For images with TORCH=system. It runs while an image is built, with nothing but Python there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

BROUGHT = (
    "cuda-*",
    "filelock",
    "fsspec",
    "jinja2",
    "markupsafe",
    "mpmath",
    "networkx",
    "numpy",
    "nvidia-*",
    "safetensors",
    "sentencepiece",
    "sympy",
    "torch",
    "triton",
)
_ENTRY = re.compile(r"([A-Za-z0-9][-A-Za-z0-9._]*)==")


def without(lock: str, brought: tuple[str, ...] = BROUGHT) -> str:
    """The lock's text without the entries of these names; an entry is a line that names a version, and what is indented below it."""
    return "".join(_kept(lock, brought))


def _kept(lock: str, brought: tuple[str, ...]) -> Iterator[str]:
    keep = True
    for line in lock.splitlines(keepends=True):
        entry = _ENTRY.match(line)
        if entry is not None:
            keep = not any(fnmatch(entry[1].lower(), pattern) for pattern in brought)
        if keep:
            yield line


if __name__ == "__main__":
    sys.stdout.write(without(Path(sys.argv[1]).read_text(encoding="utf-8")))
