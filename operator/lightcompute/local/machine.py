"""What this machine is, as far as a person wants to know before something runs on it. It measures nothing."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The processor as its maker names it, what this process may use of it, and memory."""

    cpu: str
    cpus: int
    threads: int
    memory_bytes: int


def this_machine() -> Machine:
    """The machine that this process runs on."""
    cpus = _usable_cpus()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    return Machine(
        cpu=_cpu_name(),
        cpus=cpus,
        threads=int(threads) if threads.isascii() and threads.isdigit() and int(threads) else cpus,
        memory_bytes=_memory_bytes(),
    )


def _usable_cpus() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _memory_bytes() -> int:
    """The smaller of the machine's memory and the limit of the container."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return memory
    return min(memory, int(limit)) if limit.isdigit() else memory
