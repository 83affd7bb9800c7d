import asyncio
import json
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightcompute.api import Phase, TrainingRunStatus
from support.realnode.browser import Page, page
from support.realnode.bucket import server, with_key
from support.realnode.claims import claim
from support.realnode.commands import program, variables
from support.realnode.runs import Runs
from support.s3_server import S3Server

__all__ = ["server"]

pytestmark = [pytest.mark.e2e, pytest.mark.realnode]

STEPS = 100_000
"""More than it can do while somebody looks."""
CHARTS = "document.querySelectorAll('scalar-card').length"
DRAWN = """[...document.querySelectorAll('scalar-card line-chart svg path, scalar-card line-chart canvas')]
    .some(each => each.getBoundingClientRect().width > 50)"""
TAGS = "document.body.innerText"


def test_the_loss_of_a_running_training_is_drawn(
    runs: Runs, tmp_path: Path, artefacts: Path
) -> None:
    runs.order("curves", {}, maxSteps=STEPS, evaluation={"everySteps": 50, "batchSize": 8})
    runs.until("curves", lambda status: reached(status) >= 500)
    with served(runs, "curves") as address:
        has_read_curves(address)
        picture, text = asyncio.run(looked_at(address, tmp_path / "profile"))
    (artefacts / "tensorboard.png").write_bytes(picture)
    assert picture.startswith(b"\x89PNG")
    assert "loss" in text
    # Looking does nothing to what is looked at.
    assert runs.status("curves").phase == "Running"


def test_the_curves_of_a_run_that_is_over_are_read_from_its_claim(runs: Runs) -> None:
    claim(runs.rig, runs.namespace)
    storage = {"persistentVolumeClaim": {"claimName": "runs"}}
    runs.order("kept", {"storage": storage}, maxSteps=40, evaluation={"everySteps": 20})
    runs.until("kept", lambda status: status.phase is Phase.SUCCEEDED)
    with served(runs, "kept") as address:
        has_read_curves(address)


def test_the_curves_of_a_run_that_is_over_are_brought_from_its_bucket(
    runs: Runs, server: S3Server
) -> None:
    runs.order(
        "brought",
        with_key(runs, server),
        maxSteps=40,
        evaluation={"everySteps": 20, "batchSize": 8},
    )
    runs.succeeded("brought")
    with served(runs, "brought") as address:
        has_read_curves(address)


def reached(status: TrainingRunStatus) -> int:
    """The step that it has told of."""
    metrics = status.trainer_status.metrics if status.trainer_status else ()
    return next((int(each.value) for each in metrics if each.name == "step"), 0)


def has_read_curves(address: str, *, seconds: float = 60) -> None:
    """Waits until TensorBoard has read what the trainer wrote, as it does every few seconds: a page shows what there was when it was opened."""
    end = time.monotonic() + seconds
    while True:
        with urllib.request.urlopen(f"{address}data/plugins_listing", timeout=30) as answer:  # noqa: S310 - our own address
            listing = json.load(answer)
        if listing["scalars"]["enabled"]:
            return
        assert time.monotonic() < end, f"it never read a curve: {listing}"
        time.sleep(1)


async def looked_at(address: str, profile: Path) -> tuple[bytes, str]:
    """What the page looks like once a curve is drawn, and its text."""
    async with page(profile) as opened:
        await opened.open(address)
        await opened.until(CHARTS)
        await opened.until(DRAWN)
        return await opened.picture(), await text_of(opened)


async def text_of(opened: Page) -> str:
    return str(await opened.value(TAGS))


@contextmanager
def served(runs: Runs, name: str) -> Iterator[str]:
    """`lightcompute tensorboard` as a person runs it, and the address that it tells; ended as by Ctrl-C."""
    command = [*program(), "tensorboard", name, "-n", runs.namespace, "--port", "0"]
    with subprocess.Popen(
        command, env=variables(runs.rig), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield address_in(process.stdout)
            assert process.poll() is None, "it ended by itself"
            process.send_signal(signal.SIGINT)
            process.wait(30)
        finally:
            process.kill()


def address_in(said: Iterator[str]) -> str:
    lines = []
    for line in said:
        lines.append(line)
        if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
            return found[0]
    raise AssertionError(f"it told no address: {lines}")
