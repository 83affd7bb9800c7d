"""Builders: a value with good defaults, and words for what a test is about. Nothing here is read from a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lightcompute.api.labels import STOP
from lightcompute.api.money import parse_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import (
    Attempt,
    AttemptState,
    Charge,
    Place,
    TrainingRunStatus,
)
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import Phase
from lightcompute.core.revise import revised
from lightcompute.core.snapshot import Child, ChildState, Offer, Snapshot
from runcontract.document import parse_model

NOON = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
HERE = Place(cluster="local", gpu_type="CPU")


HEARD_ALL = NOON.replace(year=9000)
"""Its log is read, whatever time it is."""


def at(seconds: float) -> datetime:
    """So many seconds after NOON."""
    return NOON + timedelta(seconds=seconds)


@dataclass(frozen=True)
class RunBuilder:
    """A run of our trainer for 100 steps; each method gives a new builder."""

    spec: dict[str, Any] = field(
        default_factory=lambda: {
            "training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100}
        }
    )
    metadata: dict[str, Any] = field(
        default_factory=lambda: {"name": "baseline", "uid": "uid-1", "generation": 1}
    )
    status: TrainingRunStatus = field(default_factory=TrainingRunStatus)

    def with_spec(self, **parts: Any) -> RunBuilder:
        """With these keys of spec, as a document has them."""
        return replace(self, spec=self.spec | parts)

    def with_metadata(self, **parts: Any) -> RunBuilder:
        """With these keys of metadata."""
        return replace(self, metadata=self.metadata | parts)

    def with_status(self, status: TrainingRunStatus) -> RunBuilder:
        """With this status."""
        return replace(self, status=status)

    def limited_to(self, limit: str, **more: Any) -> RunBuilder:
        """With a cap in dollars."""
        return self.with_spec(budget={"limitUSD": limit, **more})

    def suspended(self) -> RunBuilder:
        """With spec.suspend."""
        return self.with_spec(suspend=True)

    def stopped_by_a_person(self) -> RunBuilder:
        """With the annotation that asks for its end."""
        return self.with_metadata(annotations={STOP: "now"})

    def deleted(self, when: datetime = NOON) -> RunBuilder:
        """With a deletion asked for."""
        return self.with_metadata(deletionTimestamp=when.isoformat())

    def foreign(self) -> RunBuilder:
        """A program of the user's own, which speaks no contract."""
        spec = {key: value for key, value in self.spec.items() if key != "training"}
        return replace(self, spec=spec | {"trainer": {"command": ["train.sh"]}})

    def with_attempts(self, *attempts: Attempt, phase: Phase = Phase.RUNNING) -> RunBuilder:
        """With these attempts on record."""
        status = revised(self.status, attempts=attempts, phase=phase, observed_generation=1)
        return replace(self, status=status)

    def build(self) -> TrainingRun:
        """The run, through the same reader as a person's file."""
        document = {"metadata": self.metadata, "spec": self.spec}
        return parse_model(TrainingRun, document).with_status(self.status)


def a_run() -> RunBuilder:
    """A run of our trainer for 100 steps, without a cap."""
    return RunBuilder()


def an_offer(price: str = "0", *, place: Place = HERE, **parts: Any) -> Offer:
    """A free place at `price` dollars an hour."""
    return Offer(place=place, rate_per_hour=parse_usd(price), **parts)


def a_place(
    gpu_type: str, region: str = "US-ORD1", cluster: str = "ord", pool: str = "gpu"
) -> Place:
    """A pool of GPUs."""
    return Place(cluster=cluster, region=region, pool=pool, gpu_type=gpu_type)


def an_attempt(number: int = 1, *, price: str = "0", **parts: Any) -> Attempt:
    """A recorded attempt of which nothing was seen yet."""
    values: dict[str, Any] = {
        "number": number,
        "state": AttemptState.RESERVED,
        "generation": 1,
        "place": HERE,
        "rate_per_hour_usd": parse_usd(price),
        "reserved_time": NOON,
    }
    return Attempt(**(values | parts))


def a_running_attempt(number: int = 1, *, price: str = "0", **parts: Any) -> Attempt:
    """An attempt that has run since NOON."""
    segment = Charge(start_time=NOON, rate_per_hour_usd=parse_usd(price))
    values: dict[str, Any] = {
        "state": AttemptState.RUNNING,
        "start_time": NOON,
        "charges": (segment,),
    }
    return an_attempt(number, price=price, **(values | parts))


def an_ended_attempt(number: int = 1, *, seconds: float = 60, **parts: Any) -> Attempt:
    """An attempt that ran from NOON for `seconds` and failed."""
    price = parts.pop("price", "0")
    segment = Charge(start_time=NOON, end_time=at(seconds), rate_per_hour_usd=parse_usd(price))
    values: dict[str, Any] = {
        "state": AttemptState.ENDED,
        "start_time": NOON,
        "end_time": at(seconds),
        "charges": (segment,),
        "reason": Reason.INTERNAL_ERROR.value,
        "message": "exit code 1",
        "counts": True,
    }
    return an_attempt(number, price=price, **(values | parts))


def a_child(attempt: int = 1, *, state: ChildState = ChildState.RUNNING, **parts: Any) -> Child:
    """The processes of an attempt, running since NOON."""
    values: dict[str, Any] = {"start_time": NOON, "heard_until": HEARD_ALL}
    return Child(attempt=attempt, state=state, **(values | parts))


def an_exited_child(attempt: int = 1, *, code: int = 0, seconds: float = 60, **parts: Any) -> Child:
    """Processes that ran from NOON for `seconds` and left with `code`."""
    return a_child(attempt, state=ChildState.EXITED, exit_code=code, end_time=at(seconds), **parts)


def a_snapshot(run: RunBuilder, *children: Child, now: datetime = NOON, **parts: Any) -> Snapshot:
    """`run` and what is seen of it, with this machine to run on, at the price of the newest attempt."""
    attempts = run.status.attempts
    rate = attempts[-1].rate_per_hour_usd if attempts else 0
    values: dict[str, Any] = {
        "offers": (Offer(place=HERE, rate_per_hour=rate, any_placement=True),)
    }
    return Snapshot(run=run.build(), now=now, children=children, **(values | parts))
