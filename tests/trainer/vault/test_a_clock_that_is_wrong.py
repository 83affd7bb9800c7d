"""A machine whose clock is not the service's: by minutes it does not matter, by more it is told before the first step, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.checkpoints import save, store_at
from support.s3_server import Place
from support.wrong_clock import compiler, with_wrong_clock

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lightgpt.vault.objects import Objects
from runcontract.faults import StorageFault
from runcontract.order import Bucket
from support.checkpoints import save, store_at

bucket, key, machine = Bucket.model_validate_json(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
try:
    with store_at(machine, objects=Objects(bucket, credentials=key)) as store:
        save(store, 20)
except StorageFault as fault:
    print(fault)
    sys.exit(16)
"""


@pytest.fixture(autouse=True)
def _a_compiler() -> None:
    if compiler() is None:
        assert not os.environ.get("CI"), "a C compiler is missing"
        pytest.skip("no C compiler, by which another clock is put before a process")


def saved_by_a_clock_that_is_ahead(
    place: Place, tmp_path: Path, seconds: int
) -> subprocess.CompletedProcess[str]:
    """A process that takes up what the bucket has and saves step 20 beside it."""
    helpers = Path(__file__).parents[2]
    words = (
        helpers,
        place.bucket.model_dump_json(by_alias=True),
        place.credentials,
        place.machine(),
    )
    return subprocess.run(
        (sys.executable, "-P", "-c", PROGRAM, *map(str, words)),
        env=dict(with_wrong_clock(tmp_path, seconds)),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("seconds", [600, -600])
def test_ten_minutes_do_not_matter(place: Place, tmp_path: Path, seconds: int) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
    ended = saved_by_a_clock_that_is_ahead(place, tmp_path, seconds)
    assert ended.returncode == 0, ended.stderr
    assert place.committed() == [10, 20]


@pytest.mark.parametrize("seconds", [3600, -3600])
def test_an_hour_is_told_as_a_wrong_clock_and_what_is_there_stays(
    place: Place, tmp_path: Path, seconds: int
) -> None:
    with store_at(place.machine(), objects=place.objects()) as store:
        save(store, 10)
    ended = saved_by_a_clock_that_is_ahead(place, tmp_path, seconds)
    assert ended.returncode == 16, ended.stderr
    assert "RequestTimeTooSkewed" in ended.stdout
    assert "Set the machine's clock" in ended.stdout
    assert place.committed() == [10]
