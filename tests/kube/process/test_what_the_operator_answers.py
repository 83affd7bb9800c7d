from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from lightcompute.api.money import parse_usd
from lightcompute.api.status import Cost
from lightcompute.api.training_budget import TrainingBudget
from lightcompute.api.training_cluster import PoolStatus, TrainingClusterStatus
from lightcompute.api.training_run import TrainingRun
from lightcompute.api.words import Phase
from lightcompute.core.revise import revised
from lightcompute.kube.cluster_gauges import ClusterGauges
from lightcompute.kube.metrics import GAUGES, Gauges, Metrics, kind_of
from lightcompute.kube.money_gauges import MoneyGauges
from lightcompute.kube.probes import Check, Probes
from lightcompute.testing.builders import RunBuilder, a_run, a_running_attempt, an_ended_attempt, at


def answers(
    live: Mapping[str, Check], ready: Mapping[str, Check], *paths: str, page: bytes = b""
) -> list[tuple[int, str]]:
    async def ask() -> list[tuple[int, str]]:
        probes = Probes(live=live, ready=ready, page=lambda: page)
        port = await probes.start("127.0.0.1", 0)
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                found = []
                for path in paths:
                    async with session.get(path) as response:
                        found.append((response.status, await response.text()))
                return found
        finally:
            await probes.stop()

    return asyncio.run(ask())


def test_each_check_is_named_with_what_is_wrong_with_it() -> None:
    live = {"looks": lambda: "", "watch": lambda: "it is silent"}
    ((code, body), (other_code, _)) = answers(live, {"lease": lambda: ""}, "/healthz", "/readyz")
    assert code == 503
    assert json.loads(body) == {
        "status": "failing",
        "checks": {"looks": "ok", "watch": "it is silent"},
    }
    assert other_code == 200


def test_who_waits_for_the_lease_is_alive_and_not_ready() -> None:
    found = answers({}, {"lease": lambda: "the Lease is not ours"}, "/healthz", "/readyz")
    assert [code for code, _ in found] == [200, 503]


def test_other_paths_are_not_answered() -> None:
    assert answers({}, {}, "/", "/debug")[0][0] == 404


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/apis/lightcompute.dev/v1alpha1/trainingruns", "trainingruns"),
        ("/apis/lightcompute.dev/v1alpha1/namespaces/a/trainingruns/b", "trainingruns"),
        (
            "/apis/lightcompute.dev/v1alpha1/namespaces/a/trainingruns/b/status",
            "trainingruns/status",
        ),
        ("/api/v1/namespaces/a/pods/b/log", "pods/log"),
        ("/api/v1/namespaces/a/pods", "pods"),
        ("/api/v1/namespaces/a", "namespaces"),
        ("/api/v1/namespaces", "namespaces"),
        ("/apis", "other"),
        ("/", "other"),
    ],
)
def test_a_request_is_counted_by_kind_and_never_by_name(path: str, kind: str) -> None:
    assert kind_of(path) == kind


def a_run_that_cost(amount: str, phase: Phase, namespace: str) -> RunBuilder:
    run = a_run().with_metadata(namespace=namespace)
    cost = run.status.cost.model_copy(update={"spent_usd": parse_usd(amount)})
    return run.with_status(revised(run.status, phase=phase, cost=cost))


A_BUDGET = TrainingBudget.model_validate(
    {
        "metadata": {"name": "team", "namespace": "team-a"},
        "spec": {"limitUSD": "20.00"},
        "status": {"spentUSD": "2.50", "reservedUSD": "5.00", "waitingRuns": 3},
    }
)


def a_run_over_its_limit() -> TrainingRun:
    cost = Cost(spent_usd=1_250_000, limit_usd=1_000_000)
    run = a_run().with_metadata(namespace="team-a").with_attempts(an_ended_attempt(price="1.00"))
    return run.with_status(revised(run.status, cost=cost)).build()


def a_run_short_of_money() -> TrainingRun:
    cost = Cost(
        spent_usd=500_000,
        reserved_usd=250_000,
        rate_per_hour_usd=2_000_000,
        forecast_usd=3_000_000,
        limit_usd=1_000_000,
        overshoot_bound_usd=20_000,
        cap_reached_time=at(60),
    )
    run = a_run().with_metadata(namespace="team-a").with_attempts(a_running_attempt(price="2.00"))
    return run.with_status(revised(run.status, cost=cost)).build()


def test_the_page_tells_what_runs_and_budgets_cost() -> None:
    of_runs = 'cluster="local",namespace="team-a"'
    lines = set(a_full_page().splitlines())
    assert {line for line in lines if of_runs in line} == {
        f"lightcompute_run_spent_usd{{{of_runs}}} 1.75",
        f"lightcompute_run_rate_usd_per_hour{{{of_runs}}} 2.0",
        f"lightcompute_run_reserved_usd{{{of_runs}}} 0.25",
        f"lightcompute_run_forecast_usd{{{of_runs}}} 3.0",
        f"lightcompute_run_overshoot_usd{{{of_runs}}} 0.25",
        f"lightcompute_run_overshoot_bound_usd{{{of_runs}}} 0.02",
    }
    of_budgets = 'budget="team",namespace="team-a"'
    assert {line for line in lines if of_budgets in line} == {
        f"lightcompute_budget_limit_usd{{{of_budgets}}} 20.0",
        f"lightcompute_budget_spent_usd{{{of_budgets}}} 2.5",
        f"lightcompute_budget_reserved_usd{{{of_budgets}}} 5.0",
        f"lightcompute_budget_waiting_runs{{{of_budgets}}} 3.0",
    }
    assert 'lightcompute_runs_short_of_money{namespace="team-a"} 1.0' in lines


def a_full_page() -> str:
    metrics = Metrics()
    runs = [
        a_run_that_cost("1.25", Phase.RUNNING, "team-a"),
        a_run_that_cost("2.000001", Phase.FAILED, "team-a"),
        a_run_that_cost("0.5", Phase.RUNNING, "team-b"),
    ]
    metrics.registry.register(
        Gauges(
            lambda: tuple(run.build() for run in runs),
            lambda: (("runs", 1.5), ("pods", 0.25)),
            dict.fromkeys(GAUGES, lambda: 7.0),
        )
    )
    pool = PoolStatus(
        name="a100", gpu_type="A100-40GB", capacity_gpus=16, free_gpus=3, reserved_gpus=1
    )
    status = TrainingClusterStatus(node_pools=(pool,))
    metrics.registry.register(ClusterGauges(lambda: (("us-ord1", status),)))
    metrics.registry.register(
        MoneyGauges(lambda: (a_run_over_its_limit(), a_run_short_of_money()), lambda: (A_BUDGET,))
    )
    metrics.looked(0.02)
    metrics.faulted("bug")
    metrics.missed(2)
    metrics.asked("GET", "/api/v1/namespaces/a/pods/b/log", 200, 0.01)
    metrics.asked("PUT", "/apis/batch/v1/namespaces/a/jobs/b", 0, 0.5)
    return metrics.page().decode()


def test_the_page_tells_what_was_counted_and_what_is() -> None:
    lines = set(a_full_page().splitlines())
    assert lines >= {
        'lightcompute_runs{namespace="team-a",phase="Running"} 1.0',
        'lightcompute_runs{namespace="team-a",phase="Failed"} 1.0',
        'lightcompute_runs{namespace="team-a",phase="Pending"} 0.0',
        'lightcompute_spent_usd{namespace="team-a"} 3.250001',
        'lightcompute_spent_usd{namespace="team-b"} 0.5',
        'lightcompute_watch_silence_seconds{kind="runs"} 1.5',
        "lightcompute_queue_keys 7.0",
        'lightcompute_cluster_reachable{cluster="us-ord1"} 0.0',
        'lightcompute_pool_free_gpus{cluster="us-ord1",gpu_type="A100-40GB",pool="a100"} 3.0',
        'lightcompute_look_seconds_bucket{le="0.025"} 1.0',
        "lightcompute_look_seconds_count 1.0",
        'lightcompute_look_faults_total{kind="bug"} 1.0',
        "lightcompute_watch_missed_total 2.0",
        'lightcompute_requests_total{code="200",kind="pods/log",method="GET"} 1.0',
        'lightcompute_requests_total{code="0",kind="jobs",method="PUT"} 1.0',
        "lightcompute_log_reads_total 1.0",
    }
    assert "_created" not in a_full_page()


def documented(checkout: Path) -> dict[str, str]:
    text = (checkout / "docs" / "operator.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(lightcompute_\w+)` \|[^|]*\| (.+) \|$", text, re.MULTILINE))


def test_the_page_of_the_docs_lists_what_is_exported_word_for_word(checkout: Path) -> None:
    exported = re.findall(r"^# HELP (lightcompute_\w+) (.+)$", a_full_page(), re.MULTILINE)
    assert documented(checkout) == dict(exported)
