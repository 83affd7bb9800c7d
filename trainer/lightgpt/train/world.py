"""The processes that train one model together: who this one is, and what all of them agree on.

Ranks come from torchrun's environment. One process is a world of its own, in which agreeing costs nothing. Only rank 0 writes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from runcontract.faults import ConfigurationFault, Fault, shortened

_TIMEOUT = timedelta(minutes=30)
"""Longer than one rank alone may prepare data; a rank that died is torchrun's to notice, not ours."""


class World:
    """This process's place among `size` processes, and the device that it computes on."""

    def __init__(self, *, rank: int, size: int, local_rank: int, local_size: int) -> None:
        self.rank = rank
        self.size = size
        self.local_rank = local_rank
        self.local_size = local_size
        self.device = (
            torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
        )

    @property
    def is_main(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def join(self) -> None:
        """Meets the other processes."""
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.size > 1:
            backend = "nccl" if self.device.type == "cuda" else "gloo"
            torch.distributed.init_process_group(
                backend, rank=self.rank, world_size=self.size, timeout=_TIMEOUT
            )

    def leave(self) -> None:
        """Parts from the other processes."""
        if self.size > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()

    def mean(self, values: Tensor) -> Tensor:
        """`values` averaged over the processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
            values /= self.size
        return values

    def total(self, values: Tensor) -> Tensor:
        """`values` summed over the processes, in place."""
        if self.size > 1:
            torch.distributed.all_reduce(values)
        return values

    def most(self, value: int) -> int:
        """The largest of the processes' `value`s."""
        if self.size == 1:
            return value
        tensor = torch.tensor(value, device=self.device)
        torch.distributed.all_reduce(tensor, op=torch.distributed.ReduceOp.MAX)
        return int(tensor.item())

    def from_main(self, tensor: Tensor) -> None:
        """Overwrites `tensor` with that of rank 0."""
        if self.size > 1:
            torch.distributed.broadcast(tensor, src=0)

    def document_from_main(self, document: dict[str, Any]) -> dict[str, Any]:
        """Rank 0's `document`, a value of JSON types."""
        if self.size == 1:
            return document
        raw = json.dumps(document).encode()
        size = torch.tensor(len(raw), device=self.device)
        self.from_main(size)
        text = bytearray(raw.ljust(int(size.item()))[: int(size.item())])
        data = torch.frombuffer(text, dtype=torch.uint8).to(self.device)
        self.from_main(data)
        found: dict[str, Any] = json.loads(bytes(data.cpu().numpy()))
        return found

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self.size > 1:
            torch.distributed.barrier()


def read_world(variables: Mapping[str, str]) -> World:
    """The world that torchrun's variables tell of; raises `ConfigurationFault` for ones that make no sense."""
    size = _number(variables, "WORLD_SIZE", default=1, least=1)
    return World(
        rank=_number(variables, "RANK", default=0, most=size - 1),
        size=size,
        local_rank=_number(variables, "LOCAL_RANK", default=0),
        local_size=_number(variables, "LOCAL_WORLD_SIZE", default=size, least=1),
    )


def _number(
    variables: Mapping[str, str], name: str, *, default: int, least: int = 0, most: int = 1 << 20
) -> int:
    text = variables.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ConfigurationFault(
            Fault(
                where=f"environment variable {name}",
                found=shortened(text),
                expected=f"a whole number from {least} to {most}",
            )
        )
    return int(text)


def processors() -> int:
    """Processors that this process may use: its affinity, and the container's limit where there is one."""
    usable = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    limit = _container_limit(Path("/sys/fs/cgroup"))
    return max(1, usable if limit is None else min(usable, int(limit)))


def _container_limit(cgroup: Path) -> float | None:
    """Processors that the container's quota pays for (cgroup v2, then v1), or None without a quota."""
    try:
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        quota_us = int((cgroup / "cpu" / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period_us = int((cgroup / "cpu" / "cpu.cfs_period_us").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return quota_us / period_us if quota_us > 0 else None


def use_threads(variables: Mapping[str, str], *, local_size: int) -> int:
    """Sets and gives PyTorch's threads: OMP_NUM_THREADS, or this process's share of the processors.

    More threads than processors wait for each other at every barrier: measured, twenty times slower and worse.
    """
    given = _number(variables, "OMP_NUM_THREADS", default=0, most=4096)
    threads = given or max(1, processors() // local_size)
    torch.set_num_threads(threads)
    return threads
