"""What an attempt finds out about its process, its machine and its source."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from lightgpt.train.audit import git_commit
from lightgpt.train.determinism import derived_seed
from lightgpt.train.stopping import (
    Deadline,
    StopRequestedError,
    StopSignals,
    seconds_since_process_start,
)
from lightgpt.train.world import _container_limit, processors, use_threads


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True
    )


def test_the_commit_is_dirty_when_a_tracked_file_differs_and_none_of_ours_outside_a_checkout(
    tmp_path: Path,
) -> None:
    source = tmp_path / "module.py"
    source.write_text("a = 1\n", encoding="utf-8")
    assert git_commit(source) is None
    git(tmp_path, "init")
    assert git_commit(source) is None, "a checkout that does not track the source"
    git(tmp_path, "add", "module.py")
    git(tmp_path, "commit", "-m", "first")
    commit = git_commit(source)
    assert commit is not None
    assert len(commit) == 40
    (tmp_path / "untracked").touch()
    assert git_commit(source) == commit
    source.write_text("a = 2\n", encoding="utf-8")
    assert git_commit(source) == f"{commit}-dirty"


def test_threads_are_those_of_the_environment_or_this_processs_share_of_the_processors() -> None:
    assert use_threads({"OMP_NUM_THREADS": "1"}, local_size=1) == 1
    assert torch.get_num_threads() == 1
    assert use_threads({}, local_size=1) == processors()
    assert use_threads({}, local_size=1000) == 1


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_a_containers_limit_is_read_in_both_forms(
    tmp_path: Path, files: dict[str, str], limit: float | None
) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    assert _container_limit(tmp_path) == limit


def test_the_age_of_the_process_counts_from_its_start_and_not_from_the_import() -> None:
    first = seconds_since_process_start()
    time.sleep(0.05)
    assert seconds_since_process_start() - first == pytest.approx(0.05, abs=0.2)
    assert first > 0.1


def test_a_deadline_allows_work_that_leaves_time_to_save_with_a_margin() -> None:
    left_s = 20
    deadline = Deadline(int(seconds_since_process_start()) + left_s)
    assert deadline.allows(work_s=1, save_s=1)
    assert not deadline.allows(work_s=left_s, save_s=0)
    assert not deadline.allows(work_s=0, save_s=left_s)
    assert not deadline.allows(work_s=left_s - Deadline.MARGIN_S, save_s=0)
    assert Deadline(None).allows(work_s=1e9, save_s=1e9)


def test_a_signal_ends_at_once_what_has_nothing_to_save_and_is_noted_afterwards() -> None:
    signals = StopSignals()
    signals.listen()
    with pytest.raises(StopRequestedError, match="SIGTERM"):
        os.kill(os.getpid(), signal.SIGTERM)
    signals = StopSignals()
    signals.listen()
    signals.note_only()
    os.kill(os.getpid(), signal.SIGINT)
    assert signals.requested()


def test_seeds_for_different_purposes_differ_and_stay_the_same() -> None:
    seeds = {derived_seed(1337, purpose, n) for purpose in ("dropout", "sample") for n in range(50)}
    assert len(seeds) == 100
    assert derived_seed(1337, "sample", 3) == derived_seed(1337, "sample", 3)
    assert all(0 <= seed < 2**63 for seed in seeds)
