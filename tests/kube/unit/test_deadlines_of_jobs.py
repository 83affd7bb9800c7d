"""A Job counts from its own start, the core from the attempt's: what one side writes the other reads back."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.backend import TemporaryFault
from lightcompute.kube.children import deadline_of, late_seconds
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.family import Family
from lightcompute.kube.performing import Performer
from lightcompute.kube.pools import Home
from lightcompute.kube.settings import OperatorSettings
from lightcompute.testing.builders import a_run, a_running_attempt, at
from support.kube_builders import NAMESPACE, UID, JobBuilder, a_job, a_pod
from support.seen_attempts import seen_of

STARTS = st.integers(0, 3600)


class Patches:
    """Stands where a client would, and keeps what is written."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []

    async def patch(self, path: str, body: Any) -> Any:
        self.written.append((path, body))
        return {}


def renewed(job: JobBuilder, *, start: int, deadline_seconds: int) -> tuple[str, int]:
    """What renewing the deadline of an attempt that started then writes."""
    patches, family = Patches(), Family(lambda _: None)
    family.job_changed(None, job.kept())
    client = cast("ClusterClient", patches)
    performer = Performer(client, OperatorSettings(), family, Home())
    run = a_run().with_metadata(namespace=NAMESPACE, uid=UID)
    run = run.with_attempts(a_running_attempt(start_time=at(start)))
    asyncio.run(performer.renew(run.build(), 1, deadline_seconds))
    [(path, body)] = patches.written
    return path, body["spec"]["activeDeadlineSeconds"]


@given(job_start=STARTS, late=STARTS, seconds=st.integers(1, 10**8))
def test_a_renewed_deadline_reads_back_as_it_was_meant(
    job_start: int, late: int, seconds: int
) -> None:
    start = job_start + late
    job = a_job().started(job_start)
    path, written = renewed(job, start=start, deadline_seconds=seconds)
    assert path.startswith(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/baseline-")
    pod = a_pod().scheduled(start)
    assert deadline_of(seen_of(pod, job=job.with_deadline(written))) == seconds
    # The Job ends it then, and neither earlier nor later.
    assert job_start + written == start + seconds


def test_a_job_that_its_controller_has_not_seen_counts_from_the_attempts_start() -> None:
    _, written = renewed(a_job(), start=20, deadline_seconds=100)
    assert written == 100
    assert deadline_of(seen_of(a_pod().scheduled(20), job=a_job().with_deadline(100))) == 100


def test_before_the_attempt_starts_a_jobs_deadline_is_its_own() -> None:
    job = a_job().started(5).with_deadline(100)
    assert deadline_of(seen_of(job=job)) == 100
    assert deadline_of(seen_of(a_pod(), job=job)) == 100


def test_what_has_no_deadline_tells_of_none() -> None:
    assert deadline_of(seen_of(a_pod().scheduled(), job=a_job())) is None
    assert deadline_of(seen_of(a_pod().scheduled())) is None


def test_an_attempt_is_never_taken_to_be_earlier_than_its_job() -> None:
    """Clocks of a scheduler and of a controller may differ; the deadline then only comes earlier."""
    assert late_seconds(a_job().started(30).kept(), at(20)) == 0


@pytest.mark.parametrize("seconds", [0, -5])
def test_a_deadline_that_is_over_is_written_as_the_shortest_that_a_server_takes(
    seconds: int,
) -> None:
    _, written = renewed(a_job().started(0), start=0, deadline_seconds=seconds)
    assert written == 1


def test_a_deadline_is_not_renewed_blindly() -> None:
    performer = Performer(
        cast("ClusterClient", Patches()), OperatorSettings(), Family(lambda _: None), Home()
    )
    run = a_run().with_metadata(namespace=NAMESPACE, uid=UID).with_attempts(a_running_attempt())
    with pytest.raises(TemporaryFault, match="cannot be seen"):
        asyncio.run(performer.renew(run.build(), 1, 100))
