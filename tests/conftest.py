"""What holds for every test: threads, the cache's place, and how hypothesis searches.

The order is random: pytest-randomly prints its seed, `--randomly-seed=N` repeats an order, and
`-p no:randomly` keeps the order of the files. Helpers that tests import go to tests/support.
"""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.database import DirectoryBasedExampleDatabase

# Before anything imports torch: workers with a thread for each core would fight for the cores.
# Subprocesses inherit it, so results don't depend on the number of workers either.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
# A thread that waits by spinning takes the core from the one it waits for; measured in docs/log.md.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# Started in the background of a script, this process ignores Ctrl-C, and so would every command that a test starts and ends by it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Nothing that a test runs may reach for a model hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightcompute"

# A machine that shares its cores makes any deadline a coin toss; pytest-timeout catches what hangs.
_COMMON = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=DirectoryBasedExampleDatabase(_CACHE / "hypothesis"),
)
settings.register_profile("person", _COMMON)
# The same examples each time: a red build is about the change, never about luck.
_CI = settings(_COMMON, derandomize=True, database=None)
settings.register_profile("ci", _CI)
# `make mutants` wants to know that a test fails, not the smallest example of it, which takes minutes to find.
settings.register_profile("mutants", _CI, phases=(Phase.explicit, Phase.generate))
settings.load_profile("ci" if os.environ.get("CI") else "person")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder that holds pyproject.toml."""
    return Path(__file__).resolve().parent.parent
