import json
from datetime import datetime, timedelta

import pytest

from lightcompute.api import Phase
from support.realnode.claims import claim
from support.realnode.release import Release
from support.realnode.runs import Runs
from support.testcluster.api import Document

pytestmark = [pytest.mark.e2e, pytest.mark.realnode, pytest.mark.timeout(500)]

LIMIT_USD = "0.07"
"""A little more than a minute at the chart's price, the time of grace included."""
EVERY = 200


def test_a_run_leaves_in_time_with_its_work_saved_though_nobody_looks_after_it(
    runs: Runs, release: Release
) -> None:
    folder = claim(runs.rig, runs.namespace)
    runs.order(
        "poor",
        {
            "budget": {"limitUSD": LIMIT_USD},
            "storage": {"persistentVolumeClaim": {"claimName": "runs"}},
            "checkpoints": {"everySteps": EVERY},
        },
        maxSteps=1_000_000,
    )
    status = runs.until("poor", lambda status: status.phase is Phase.RUNNING)
    (attempt,) = status.attempts
    assert attempt.deadline_seconds is not None
    release.scale(0)

    (pod,) = runs.pods("poor")
    path = f"/api/v1/namespaces/{runs.namespace}/pods/{pod['metadata']['name']}"
    ended = runs.rig.api.eventually(path, is_over, seconds=attempt.deadline_seconds + 30)
    exit_code, finished = how_it_ended(ended)
    assert exit_code == 12, runs.log(pod["metadata"]["name"])[-2000:]
    assert finished - scheduled(ended) <= timedelta(seconds=attempt.deadline_seconds)

    # Everything that it did is saved, not only what was due.
    (manifest,) = sorted(folder.glob("*/checkpoints/step-*/manifest.json"))[-1:]
    last_word = json.loads(word(ended))
    assert json.loads(manifest.read_text(encoding="utf-8"))["step"] == last_word["step"] > 0

    release.scale(1)
    status = runs.until("poor", lambda status: status.phase is Phase.BUDGET_EXHAUSTED)
    assert status.cost.limit_usd is not None
    assert 0 < status.cost.spent_usd <= status.cost.limit_usd
    assert status.attempts[-1].last_step == last_word["step"]


def is_over(pod: Document) -> bool:
    return pod["status"]["phase"] in {"Succeeded", "Failed"}


def how_it_ended(pod: Document) -> tuple[int, datetime]:
    ended = trainer_of(pod)
    return int(ended["exitCode"]), time_of(ended["finishedAt"])


def word(pod: Document) -> str:
    return str(trainer_of(pod)["message"])


def trainer_of(pod: Document) -> Document:
    (trainer,) = (each for each in pod["status"]["containerStatuses"] if each["name"] == "trainer")
    return dict(trainer["state"]["terminated"])


def scheduled(pod: Document) -> datetime:
    (condition,) = (each for each in pod["status"]["conditions"] if each["type"] == "PodScheduled")
    return time_of(condition["lastTransitionTime"])


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)
