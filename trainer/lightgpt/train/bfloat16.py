"""Whether a run computes in bfloat16: as ordered, or as the device does it best.

A processor without instructions for bfloat16 can still emulate it, several times slower than fp32; so "it works" is not asked here.
"""

from __future__ import annotations

from pathlib import Path

import torch

from runcontract.order import Training

_CPU_INFO = Path("/proc/cpuinfo")
_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Names of the instructions as Linux lists them: Intel and AMD by the first two, ARM by the last."""


def in_bfloat16(training: Training, device: torch.device) -> bool:
    """Whether activations are in bfloat16."""
    match training.precision:
        case "FP32":
            return False
        case "BF16":
            return True
        case "Auto":
            return computes_bfloat16(device)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        return lists_bfloat16(_CPU_INFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return False


def lists_bfloat16(cpu_info: str) -> bool:
    """Whether the text of /proc/cpuinfo names instructions for bfloat16."""
    for line in cpu_info.splitlines():
        name, _, flags = line.partition(":")
        if name.strip().lower() in {"flags", "features"}:
            return not _FLAGS.isdisjoint(flags.split())
    return False
