"""In what precision a run computes."""

import pytest
import torch

from lightgpt.train.bfloat16 import computes_bfloat16, in_bfloat16, lists_bfloat16
from lightgpt.train.step import precision
from runcontract.order import Training

CPU = torch.device("cpu")


def ordered(name: str) -> Training:
    return Training.model_validate({"data": {"files": ["a.txt"]}, "maxSteps": 1, "precision": name})


@pytest.mark.parametrize(
    ("cpu_info", "has"),
    [
        ("processor : 0\nflags\t\t: fpu avx2 avx512_bf16 sha_ni\n", True),
        ("flags : fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("model name : bf16\n", False),
        ("", False),
    ],
)
def test_a_processor_computes_bfloat16_when_its_flags_say_so(cpu_info: str, has: bool) -> None:
    assert lists_bfloat16(cpu_info) is has


def test_fp32_and_bf16_are_what_was_ordered_whatever_the_device() -> None:
    assert in_bfloat16(ordered("BF16"), CPU)
    assert not in_bfloat16(ordered("FP32"), CPU)


def test_auto_follows_the_device() -> None:
    assert in_bfloat16(ordered("Auto"), CPU) is computes_bfloat16(CPU)


@pytest.mark.parametrize(("name", "dtype"), [("BF16", torch.bfloat16), ("FP32", torch.float32)])
def test_products_are_computed_in_the_ordered_precision(name: str, dtype: torch.dtype) -> None:
    with precision(ordered(name), CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype
