"""What is in a cluster that cannot be reached may be alive: it is charged on, and nothing replaces it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import cast

from lightcompute.api.reasons import Reason
from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decide import decide
from lightcompute.core.decision import Decision
from lightcompute.core.snapshot import ChildState, Snapshot
from lightcompute.kube.backend import KubeBackend
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.runs import RunStore
from lightcompute.kube.settings import OperatorSettings
from lightcompute.testing.builders import NOON, a_place, a_run, a_running_attempt, at

AWAY = a_place("L40S", cluster="away")


class NoServer:
    """Stands where a client would; nothing may be asked of a cluster that is away."""

    def now(self) -> datetime:
        return NOON


def a_run_away() -> TrainingRun:
    live = a_running_attempt(price="2.00", place=AWAY, deadline_seconds=3569)
    run = a_run().with_metadata(namespace="team-a").limited_to("2.00")
    return run.with_attempts(live).build()


def look(run: TrainingRun, seconds: float) -> Decision:
    client = cast("ClusterClient", NoServer())
    backend = KubeBackend(client, OperatorSettings(), RunStore(), lambda _: None)
    children = asyncio.run(backend._children(run))
    assert [child.state for child in children] == [ChildState.UNKNOWN]
    return decide(Snapshot(run=run, now=at(seconds), children=children))


def test_an_attempt_in_a_cluster_that_is_away_is_charged_on_and_not_replaced() -> None:
    decision = look(a_run_away(), 1800)
    assert decision.reason == Reason.CLUSTER_UNKNOWN
    assert decision.status.cost.spent_usd == 1_000_000
    assert decision.actions == ()


def test_it_is_over_when_the_deadline_that_its_job_keeps_has_certainly_passed() -> None:
    before, after = look(a_run_away(), 3569 + 30), look(a_run_away(), 3569 + 30 + 60)
    assert before.status.attempts[0].is_live
    assert not after.status.attempts[0].is_live
    assert after.status.cost.spent_usd <= 2_000_000
