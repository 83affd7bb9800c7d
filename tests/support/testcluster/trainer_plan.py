"""What the stages planned for a simulated trainer, and what has come of it, read from its pod.

The plan stands in annotations that tests/testcluster/stages/trainers.yaml writes; how it ended stands in the pod's status.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lightcompute.api import labels
from runcontract import environment
from runcontract.results import TargetVerdict

PLAN = "sim.lightcompute.dev/"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a container's log, without the newline."""

    time: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the stages planned for a pod, and what has come of it."""

    start: datetime
    planned_end: datetime | None
    end: datetime | None
    attempt: int
    steps: int
    steps_per_second: float
    loss: float
    save_seconds: float
    speech: str
    last_step: int | None
    exit_code: int | None
    reason: str
    message: str
    target: TargetVerdict | None


def read_plan(pod: dict[str, Any]) -> Plan | None:
    """The plan of a trainer that has begun; None for any other pod."""
    notes = pod["metadata"].get("annotations", {})
    if pod["metadata"].get("labels", {}).get(labels.PURPOSE) != "trainer":
        return None
    if notes.get(f"{PLAN}fate") != "Runs" or "containerStatuses" not in pod.get("status", {}):
        return None
    ended = pod["status"]["containerStatuses"][0].get("state", {}).get("terminated")
    word, planned = _last_word(ended), notes[f"{PLAN}ends-at"]
    return Plan(
        start=datetime.fromisoformat(notes[f"{PLAN}started-at"]),
        planned_end=_time(planned),
        end=_time((ended or {}).get("finishedAt")),
        attempt=_attempt(pod),
        steps=int(notes[f"{PLAN}steps"]),
        steps_per_second=float(notes[f"{PLAN}steps-per-second"]),
        loss=float(notes[f"{PLAN}loss"]),
        save_seconds=_save_seconds(pod),
        speech=notes[f"{PLAN}speech"],
        last_step=word.get("step"),
        exit_code=None if ended is None else ended["exitCode"],
        reason=word.get("reason", ""),
        message=word.get("message", ""),
        target=TargetVerdict.model_validate(word["target"]) if "target" in word else None,
    )


def _time(text: str | None) -> datetime | None:
    """A time; None where nobody knows it, as of a container that was withdrawn before it began."""
    return datetime.fromisoformat(text) if text else None


def _last_word(ended: dict[str, Any] | None) -> dict[str, Any]:
    try:
        word = json.loads((ended or {}).get("message", "{}"))
    except ValueError:  # A trainer that writes garbage.
        return {}
    return dict(word)


def _attempt(pod: dict[str, Any]) -> int:
    return int(_variables(pod).get(environment.ATTEMPT) or 1)


def _save_seconds(pod: dict[str, Any]) -> float:
    """Of its saves no stage knows anything: it is only told."""
    return float(_variables(pod).get("SIM_SAVE_SECONDS") or 0.1)


def _variables(pod: dict[str, Any]) -> dict[str, str]:
    listed = pod["spec"]["containers"][0].get("env", ())
    return {each["name"]: each.get("value", "") for each in listed}
