"""Freed memory is kept from step to step, unless the person who runs it has said otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import os, resource
import torch
from lightgpt.train.heap import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def cycle():
    for _ in range(10):
        blocks = [torch.ones(10 << 20) for _ in range(3)]  # 40 MiB each
        del blocks

torch.set_num_threads(1)
kept = keep_freed_memory(os.environ)
cycle()
before = faults()
cycle()
print(kept, faults() - before)
"""
PAGES = 10 * 3 * (40 << 20) // os.sysconf("SC_PAGE_SIZE")
"""Of all blocks of a cycle. glibc gives back blocks of more than 32 MiB whatever it has learned, smaller ones only at times."""

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's allocator is told to keep memory"
)


def page_faults(**variables: str) -> tuple[bool, int]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name != "GLIBC_TUNABLES" and not name.startswith("MALLOC_")
    }
    done = subprocess.run(
        (sys.executable, "-P", "-c", PROGRAM),
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.slow
def test_blocks_that_were_freed_cost_no_page_faults_when_they_are_asked_for_again() -> None:
    kept, faults = page_faults()
    assert kept
    assert faults < PAGES / 100


@pytest.mark.slow
@pytest.mark.parametrize(
    "variable", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.perturb=0"}]
)
def test_who_has_tuned_the_allocator_is_not_overruled(variable: dict[str, str]) -> None:
    kept, faults = page_faults(**variable)
    assert not kept
    assert faults > PAGES / 10
