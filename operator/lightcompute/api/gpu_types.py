"""GPU types that placement knows by name, so that a typing error in a pool is told and not waited for.

A cluster may have others: `lightcompute operator --extra-gpu-type` adds to the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

GPU_TYPES = frozenset(
    {
        "A10",
        "A100-40GB",
        "A100-80GB",
        "A30",
        "A40",
        "B200",
        "B300",
        "CPU",
        "GB200",
        "GH200",
        "H100-80GB",
        "H100-94GB",
        "H200",
        "L4",
        "L40",
        "L40S",
        "MI250",
        "MI300X",
        "MI325X",
        "RTX-4090",
        "RTX-5090",
        "RTX-6000-Ada",
        "RTX-A5000",
        "RTX-A6000",
        "RTX-PRO-6000",
        "T4",
        "V100-16GB",
        "V100-32GB",
    }
)
"""By the name of the product and, where it was made with several, the size of its memory. `CPU` stands for nodes without any."""


def unknown_gpu_type(name: str, extra: Iterable[str] = ()) -> str:
    """What is wrong with `name` and what was likely meant, as a sentence; empty when it is known."""
    known = GPU_TYPES | frozenset(extra)
    if name in known:
        return ""
    folded = {each.casefold(): each for each in sorted(known)}
    near = get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(folded[each] for each in near)}? " if near else ""
    return f"GPU type {name} is not known. {meant}The operator's option --extra-gpu-type adds a name to the list."
