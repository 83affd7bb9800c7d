"""How often an API server is asked: no more often than it wants, ever more rarely where it answers nothing, and not at all without need."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from support.run_spaces import Space
from support.testcluster.proxy import FaultProxy
from support.testcluster.proxy_rules import Seen

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

JOBS = r"/jobs$"
QUIET_SECONDS = 30.0


def gaps(seen: tuple[Seen, ...]) -> list[float]:
    """Seconds between requests."""
    return [(after.time - before.time).total_seconds() for before, after in pairwise(seen)]


def test_retry_after_is_honoured(faulty_space: Space, fault_proxy: FaultProxy) -> None:
    fault_proxy.answer(429, method="POST", path=JOBS, times=2, retry_after_seconds=4)
    run = faulty_space.submit("patient", {"RUN_SECONDS": 1})
    run.in_phase("Succeeded")
    waited = gaps(fault_proxy.requests(method="POST", path=JOBS))
    assert len(waited) == 2
    assert all(4.0 <= seconds < 6.0 for seconds in waited), waited


def test_a_write_that_never_succeeds_is_tried_ever_more_rarely(
    faulty_space: Space, fault_proxy: FaultProxy
) -> None:
    codes = (409, 500, 503)
    paths = {code: f"/stuck-{code}/status" for code in codes}
    for code, path in paths.items():
        fault_proxy.answer(code, method="PUT", path=path, times=None)
    runs = [faulty_space.submit(f"stuck-{code}", {"RUN_SECONDS": 1}) for code in codes]
    time.sleep(16)
    tries = {code: fault_proxy.count(method="PUT", path=path) for code, path in paths.items()}
    # At once after a first conflict; then after 1, 2, 4 and 8 s.
    assert all(4 <= count <= 7 for count in tries.values()), tries
    fault_proxy.clear()
    for run in runs:
        run.in_phase("Succeeded")
    assert faulty_space.audit() == ()


def test_a_run_that_runs_without_news_is_written_for_progress_and_cost_alone(
    faulty_space: Space, fault_proxy: FaultProxy
) -> None:
    budget = {"limitUSD": "1.00", "pollIntervalSeconds": 10}
    talks = faulty_space.submit("talks", {"NEVER_ENDS": 1}, budget=budget)
    silent = faulty_space.submit("silent", {"HANG": 1}, progressDeadlineSeconds=600)
    done = faulty_space.submit("done", {"RUN_SECONDS": 1})
    done.in_phase("Succeeded")
    for run in (talks, silent):
        run.in_phase("Running")
    time.sleep(12)  # The first progress is told, and the silent one has said its last.
    fault_proxy.forget()
    time.sleep(QUIET_SECONDS)
    writes = [seen for seen in fault_proxy.writes() if "/leases/" not in seen.path]
    paths = {seen.path.rpartition("/trainingruns/")[2] for seen in writes}
    assert paths <= {"talks/status"}, paths
    assert 2 <= len(writes) <= QUIET_SECONDS / 10 + 1
    renewals = fault_proxy.writes("/leases/")
    assert len(renewals) <= QUIET_SECONDS + 2
    assert min(gaps(renewals)) > 0.5
