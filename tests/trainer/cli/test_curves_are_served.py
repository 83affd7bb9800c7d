"""`lightgpt tensorboard` as a process: it serves, and it leaves at once, as the first process of a container too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "lightgpt", "tensorboard")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def served(folder: Path, *before: str) -> tuple[subprocess.Popen[str], str]:
    """The process, and its address once it serves."""
    process = subprocess.Popen(
        [*before, *COMMAND, "--logdir", str(folder), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("TensorBoard: "):
            return process, line.split()[1]
    pytest.fail(f"it left with {process.wait()}")


def test_it_serves_a_folder_that_does_not_exist_yet_and_leaves_when_asked(tmp_path: Path) -> None:
    process, address = served(tmp_path / "later")
    try:
        with urllib.request.urlopen(f"{address}data/runs", timeout=30) as answer:  # noqa: S310 - its own address
            assert answer.read() == b"[]"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 2
    finally:
        process.kill()
        process.communicate()


def may_make_namespaces() -> bool:
    done = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False)
    return done.returncode == 0


def test_it_leaves_as_the_first_process_of_a_container(tmp_path: Path) -> None:
    if sys.platform != "linux" or not may_make_namespaces():
        pytest.skip("this machine lets us make no process namespace")
    # `unshare --fork` waits for the first process of the namespace, which is the command itself.
    process, _ = served(tmp_path, "unshare", "--pid", "--fork", "--kill-child")
    (first,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(first), signal.SIGTERM)
    try:
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_it_leaves_before_it_serves_too(tmp_path: Path) -> None:
    process = subprocess.Popen([*COMMAND, "--logdir", str(tmp_path), "--port", "0"])
    try:
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in {0, -signal.SIGTERM}
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    process, address = served(tmp_path)
    try:
        port = address.rstrip("/").rpartition(":")[2]
        done = subprocess.run(
            [*COMMAND, "--logdir", str(tmp_path), "--port", port],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 10
        assert "--port" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        process.kill()
        process.communicate()
