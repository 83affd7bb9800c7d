"""torch.compile, with what it needs checked first and what it cannot do told as a fault of the order."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from runcontract.faults import ConfigurationFault, Fault, shortened

_WHERE = "training.compile"
_ACTION = "Install g++ and Python's headers, or set training.compile to false."

Loss = Callable[[Tensor, Tensor], Tensor]


def compiled(loss: Loss, device: torch.device) -> Loss:
    """`loss`, to be compiled when it is first called; raises `ConfigurationFault` without a C++ compiler on CPU."""
    if device.type == "cpu" and _compiler() is None:
        raise ConfigurationFault(
            Fault(
                where=_WHERE,
                found="true, and no C++ compiler",
                expected="g++ or clang++ on the path, or one named by CXX",
                action=_ACTION,
            )
        )
    return torch.compile(loss, dynamic=False)


def _compiler() -> str | None:
    named = os.environ.get("CXX", "")
    return shutil.which(named) if named else shutil.which("g++") or shutil.which("clang++")


@contextmanager
def compile_faults() -> Iterator[None]:
    """Turns a compilation that fails inside the block into a `ConfigurationFault`."""
    from torch._dynamo.exc import TorchDynamoException

    try:
        yield
    except TorchDynamoException as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise ConfigurationFault(
            Fault(
                where=_WHERE,
                found=f"true, and PyTorch could not compile the model: {shortened(lines[0] if lines else '', 300)}",
                expected="a model and a machine that torch.compile can handle",
                action=_ACTION,
            )
        ) from error
