"""A process whose clock is wrong: a library before the C library adds seconds to the time of day, and to nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SECONDS = "WRONG_BY_SECONDS"
_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static long wrong_by(void) {
    const char *text = getenv("WRONG_BY_SECONDS");
    return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, at);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += wrong_by();
    return failed;
}
"""


def compiler() -> str | None:
    """What makes the library; None on a machine without a C compiler."""
    return shutil.which("cc")


def with_wrong_clock(folder: Path, seconds: int) -> Mapping[str, str]:
    """The environment of a process whose clock is `seconds` ahead; the library is made in `folder`."""
    cc = compiler()
    assert cc is not None
    source, library = folder / "wrong_clock.c", folder / "wrong_clock.so"
    source.write_text(_SOURCE, encoding="utf-8")
    subprocess.run((cc, "-shared", "-fPIC", "-o", library, source, "-ldl"), check=True)
    return {**os.environ, "LD_PRELOAD": str(library), _SECONDS: str(seconds)}
