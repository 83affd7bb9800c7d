"""TrainingBudgets as a watch tells of them: older news, names that are used again, documents and runs that cannot be read."""

from __future__ import annotations

from typing import Any, cast

from lightcompute.kube.accounts import Accounts
from lightcompute.kube.client import ClusterClient, Document
from lightcompute.kube.runs import RunStore
from lightcompute.kube.settings import OperatorSettings
from lightcompute.testing.builders import NOON, a_run, a_running_attempt

PRICE = "3.60"


class NoServer:
    """Stands where a client would; nothing is asked."""

    def now(self) -> Any:
        return NOON


def accounts_of(runs: RunStore | None = None, woken: list[str] | None = None) -> Accounts:
    client = cast("ClusterClient", NoServer())
    tell = (woken if woken is not None else []).append
    return Accounts(client, OperatorSettings(), runs or RunStore(), tell)


def a_budget(limit: str = "1.00", *, uid: str = "one", version: int = 5, **spec: Any) -> Document:
    return {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingBudget",
        "metadata": {
            "name": "team",
            "namespace": "a",
            "uid": uid,
            "resourceVersion": str(version),
            "generation": version,
        },
        "spec": {"limitUSD": limit, **spec},
    }


RUN = a_run().with_metadata(namespace="a", uid="run", resource_version="3").build()


def limits(accounts: Accounts) -> list[tuple[int, str]]:
    return [(each.limit, each.fault) for each in accounts.allowances(RUN)]


def test_a_watch_that_is_behind_brings_nothing_old_back() -> None:
    accounts = accounts_of()
    accounts._seen(None, a_budget("1.00", version=5))
    accounts._seen(None, a_budget("9.00", version=4))
    assert limits(accounts) == [(1_000_000, "")]
    accounts._seen(None, a_budget("2.00", version=6))
    assert limits(accounts) == [(2_000_000, "")]


def test_the_end_of_one_is_not_that_of_another_of_the_same_name() -> None:
    accounts = accounts_of()
    accounts._seen(None, a_budget("1.00", uid="one", version=5))
    accounts._seen(None, a_budget("2.00", uid="two", version=8))
    accounts._seen(a_budget("1.00", uid="one", version=5), None)
    assert limits(accounts) == [(2_000_000, "")]
    accounts._seen(a_budget("2.00", uid="two", version=8), None)
    assert limits(accounts) == []


def test_one_that_cannot_be_read_lets_nothing_start_until_it_can() -> None:
    accounts = accounts_of()
    accounts._seen(None, a_budget(version=5, period="Fortnightly"))
    assert limits(accounts) == [(0, "it cannot be read")]
    accounts._seen(None, a_budget("3.00", version=6))
    assert limits(accounts) == [(3_000_000, "")]


def a_document(version: str, **parts: Any) -> Document:
    """Another run of the namespace, with an attempt that is alive."""
    attempt = a_running_attempt(price=PRICE, deadline_seconds=59)
    run = a_run().with_metadata(namespace="a", uid="other", name="other").with_attempts(attempt)
    document = run.build().document() | parts
    document["metadata"]["resourceVersion"] = version
    return document


def test_a_budget_that_comes_counts_the_runs_that_are_there_and_wakes_them() -> None:
    runs, woken = RunStore(), list[str]()
    runs.seen(a_document("4"))
    accounts = accounts_of(runs, woken)
    accounts._seen(None, a_budget())
    [allowance] = accounts.allowances(RUN)
    assert sum(allowance.taken.values()) == 92_000, "59 s, 30 of grace, 2 of skew and 1"
    assert woken == ["other"]


def test_a_run_that_cannot_be_read_keeps_what_it_had() -> None:
    runs = RunStore()
    runs.seen(a_document("4"))
    accounts = accounts_of(runs)
    accounts._seen(None, a_budget())
    runs.seen(a_document("9", status={"attempts": "none"}))
    assert accounts._run("other") is None
    [allowance] = accounts.allowances(RUN)
    assert sum(allowance.taken.values()) == 92_000
