"""The audit trail: reads versions, machine, source, hashes and seeds of this attempt."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch

from lightgpt.train.world import processors
from runcontract.audit import Hardware
from runcontract.environment import IMAGE_DIGEST

_PREFIXES = (
    "OMP_",
    "MKL_",
    "KMP_",
    "GOMP_",
    "MALLOC_",
    "TORCH_",
    "TORCHINDUCTOR_",
    "CUBLAS_",
    "NCCL_",
    "CUDA_",
)
_NAMES = frozenset({
    "PYTHONHASHSEED", "GLOBAL_SEED", "LD_PRELOAD", "OPENBLAS_NUM_THREADS", "WORLD_SIZE", "RANK", "LOCAL_RANK", "DNNL_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY", "GLIBC_TUNABLES",
})  # fmt: skip
_SECRETS = ("TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL")


def packages() -> dict[str, str]:
    """Version of every installed distribution, by its name in lower case."""
    found = {(entry.name or "").lower(): entry.version for entry in metadata.distributions()}
    return {name: found[name] for name in sorted(found) if name}


def environment() -> dict[str, str]:
    """The variables that change numbers; never one that may hold a secret."""
    return {
        name: value[:1024]
        for name, value in sorted(os.environ.items())
        if (name in _NAMES or name.startswith(_PREFIXES))
        and not any(word in name for word in _SECRETS)
    }


def git_commit(source: Path = Path(__file__)) -> str | None:
    """Commit of the checkout that holds `source`, with `-dirty` when tracked files differ; None outside one.

    Nothing is told of a checkout that merely surrounds an installed copy: `source` must be tracked in it.
    """
    folder = source.resolve().parent
    if _git(folder, "ls-files", "--error-unmatch", source.name) is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def image_digest(variables: Mapping[str, str]) -> str | None:
    """Digest of the container image, where whoever started the container told it."""
    return variables.get(IMAGE_DIGEST) or None


def hardware(*, threads: int) -> Hardware:
    """The machine, as PyTorch and the system see it."""
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return Hardware(
        machine=platform.machine(),
        cpu=_processor_name(),
        cpu_count=processors(),
        threads=threads,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        devices=tuple(devices),
        instruction_sets=(torch.backends.cpu.get_cpu_capability(),),
    )


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()[:200]
    return (platform.processor() or platform.machine())[:200]


def python_version() -> str:
    """Implementation and version of this interpreter."""
    return f"{platform.python_implementation()} {sys.version.split()[0]}"


def platform_name() -> str:
    """Operating system and C library."""
    return f"{platform.platform()} {' '.join(platform.libc_ver())}".strip()[:300]
