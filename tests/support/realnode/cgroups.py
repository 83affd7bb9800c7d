"""The control groups that pods run in: made for the rig, and taken away after it, with what an earlier one left."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "lightcompute-e2e-"
_SECONDS = 10


def make(rig: str) -> str:
    """A group of our own below each hierarchy, for one `rig` of a process; gives its path as the kubelet wants it."""
    prefix = f"{_PREFIX}{rig}."
    for hierarchy in _hierarchies():
        for left in hierarchy.glob(f"{prefix}*"):
            _remove(left)
    name = f"{prefix}{os.getpid()}"
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
        _take_parents_processors(hierarchy / name)
    return f"/{name}"


def remove(path: str) -> None:
    """Takes the groups away, whose processes are gone or about to be."""
    for hierarchy in _hierarchies():
        group = hierarchy / path.strip("/")
        end = time.monotonic() + _SECONDS
        while group.exists() and not _remove(group):
            if time.monotonic() > end:
                raise RuntimeError(f"{group} still has processes: {_processes(group)}")
            time.sleep(0.05)


def _hierarchies() -> tuple[Path, ...]:
    """One for all controllers, or one for each of them."""
    if (ROOT / "cgroup.controllers").exists():
        return (ROOT,)
    # Some are links to another (cpu -> cpu,cpuacct).
    return tuple(sorted({each.resolve() for each in ROOT.iterdir() if each.is_dir()}))


def _take_parents_processors(group: Path) -> None:
    """A new group of cpuset may use no processor at all until it is told."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = group / name
        if file.exists() and not file.read_text(encoding="ascii").strip():
            file.write_text((group.parent / name).read_text(encoding="ascii"), encoding="ascii")


def _remove(group: Path) -> bool:
    """Whether it is gone, with those below it."""
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    return not group.exists()


def _processes(group: Path) -> str:
    return (group / "cgroup.procs").read_text(encoding="ascii").replace("\n", " ")
