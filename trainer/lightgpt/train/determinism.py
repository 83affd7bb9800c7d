"""Seeds of every generator, and PyTorch held to algorithms that give the same bits each time.

No generator's state is saved in a checkpoint: nothing here depends on what was drawn before. The data order is a function of
(seed, pass); dropout is seeded anew for each forward pass from (seed, pass, rank); samples from (seed, step). A run that
resumes at step n therefore draws what it would have drawn, with any number of ranks.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping

import numpy as np
import torch

from runcontract.environment import GLOBAL_SEED
from runcontract.faults import ConfigurationFault, Fault, shortened

DEFAULT_SEED = 1337
HASH_SEED = "PYTHONHASHSEED"


def derived_seed(*parts: int | str) -> int:
    """A seed of 63 bits for one purpose; different parts give independent seeds."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def seeds_in_force(variables: Mapping[str, str], *, order_seed: int) -> dict[str, int]:
    """The seeds for the audit trail. Raises `ConfigurationFault` for a GLOBAL_SEED that is none.

    A hash seed that was not fixed when the interpreter started is -1.
    """
    hash_seed = variables.get(HASH_SEED, "")
    text = variables.get(GLOBAL_SEED, "") or str(DEFAULT_SEED)
    if not (text.isascii() and text.isdigit() and int(text) < 2**31):
        raise ConfigurationFault(
            Fault(
                where=f"environment variable {GLOBAL_SEED}",
                found=shortened(text),
                expected="a whole number below 2147483648",
            )
        )
    return {
        HASH_SEED: int(hash_seed) if hash_seed.isdigit() else -1,
        GLOBAL_SEED: int(text),
        "seed": order_seed,
    }


def make_deterministic(*, compiles: bool) -> None:
    """Has PyTorch refuse what would give other bits the next time. Call before CUDA is used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if compiles:
        torch.use_deterministic_algorithms(True)
    else:
        # The same but for the compiler, which the other call imports only to tell it: 5 s on two cores.
        torch.set_deterministic_debug_mode("error")
    # Filling fresh memory guards against reading it unwritten, which no kernel here does, and costs time each step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def seed_everything(seed: int) -> None:
    """Seeds every global generator: for code of others that draws from them."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - the global generator is meant
    torch.manual_seed(seed)
