"""The audit of the records of several clusters: what it takes for right, and that it finds each thing that must not be."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from lightcompute.api import labels
from support.fleet_audit import LAG_SECONDS, Pool, fleet_violations, most_held, overcommitted
from support.run_audit import Change, Kind

Document = dict[str, Any]
HOME, AWAY, OTHER = "us-ord1", "us-iad1", "eu-fra1"
SELECTOR = {"gpu": "L40S"}
LONG = 60.0


class Records:
    """Records of three clusters that are written by hand; time passes only by `later`."""

    def __init__(self) -> None:
        self.now = 0.0
        self._version = 0
        self.changes: dict[str, list[Change]] = defaultdict(list)

    def later(self, seconds: float) -> Records:
        """So long nothing happens."""
        self.now += seconds
        return self

    def run(self, *attempts: Document, gone: bool = False, held: bool = True) -> Records:
        """The run as it came to be."""
        finalizers = [labels.FINALIZER] if held else []
        metadata = {"uid": "run", "name": "baseline", "finalizers": finalizers}
        return self._take(
            HOME, Kind.RUN, {"metadata": metadata, "status": {"attempts": attempts}}, gone
        )

    def owes(self, cluster: str, attempt: int) -> Records:
        """It is noted that the cluster owes the attempt."""
        owed = [{"runUid": "run", "attempt": attempt}]
        document = {"metadata": {"uid": cluster, "name": cluster}, "status": {"owed": owed}}
        return self._take(HOME, Kind.CLUSTER, document, gone=False)

    def job(
        self, cluster: str, attempt: int = 1, *, gone: bool = False, gpus: int = 1, **spec: Any
    ) -> Records:
        """A Job."""
        template = {"spec": _pod_spec(gpus)}
        document = {"metadata": _marks("job", attempt), "spec": {"template": template, **spec}}
        return self._take(cluster, Kind.JOB, document, gone)

    def pod(
        self, cluster: str, attempt: int = 1, phase: str = "Running", *, gone: bool = False
    ) -> Records:
        """A pod."""
        document = {
            "metadata": _marks("pod", attempt),
            "spec": _pod_spec(1),
            "status": {"phase": phase},
        }
        return self._take(cluster, Kind.POD, document, gone)

    @property
    def faults(self) -> str:
        """What is wrong with them."""
        records = {name: tuple(self.changes[name]) for name in (HOME, AWAY, OTHER)}
        return "; ".join(fleet_violations(records, management=HOME, now=self.now))

    def _take(self, cluster: str, kind: Kind, document: Document, gone: bool) -> Records:
        self._version += 1
        self.changes[cluster].append(
            Change(
                version=self._version, kind=kind, gone=gone, document=document, heard_at=self.now
            )
        )
        return self


def _marks(what: str, attempt: int) -> Document:
    marks = {labels.RUN_UID: "run", labels.ATTEMPT: str(attempt)}
    return {"uid": f"{what}-{attempt}", "name": f"{what}-{attempt}", "labels": marks}


def _pod_spec(gpus: int) -> Document:
    limits = {"nvidia.com/gpu": str(gpus)}
    return {"nodeSelector": SELECTOR, "containers": [{"resources": {"limits": limits}}]}


def live(number: int, cluster: str) -> Document:
    return {"number": number, "state": "Running", "place": {"cluster": cluster}}


def over(number: int, cluster: str) -> Document:
    return live(number, cluster) | {"state": "Ended"}


def moved(*, dies: bool) -> Records:
    """A run that was moved from one cluster to another; the first attempt `dies` before."""
    records = Records().run(live(1, AWAY)).job(AWAY).pod(AWAY).later(LONG)
    if dies:
        records.pod(AWAY, phase="Failed").job(AWAY, suspend=True)
    records.run(over(1, AWAY)).run(over(1, AWAY), live(2, OTHER)).job(OTHER, 2).pod(OTHER, 2)
    return records.later(LONG)


def test_a_run_that_is_moved_when_its_attempt_is_gone_is_right() -> None:
    assert moved(dies=True).faults == ""


def test_what_a_watch_hears_a_moment_late_is_right() -> None:
    records = Records().job(AWAY).pod(AWAY).later(LAG_SECONDS).run(live(1, AWAY)).later(LONG)
    records.run(over(1, AWAY)).later(LAG_SECONDS).pod(AWAY, gone=True).job(AWAY, gone=True)
    assert records.run(over(1, AWAY), gone=True).later(LONG).faults == ""


WRONG = {
    "an attempt that is moved while it lives": (
        moved(dies=False),
        "attempt 1 in us-iad1 and attempt 2 in eu-fra1 lived at once",
    ),
    "an end that is none": (moved(dies=False), "in us-iad1 lived on after its end was recorded"),
    "an attempt in two clusters": (
        Records().run(live(1, AWAY)).job(AWAY).job(OTHER).later(LONG),
        "attempt 1 in us-iad1 and attempt 1 in eu-fra1 lived at once",
    ),
    "two attempts in one cluster": (
        Records().run(live(1, AWAY)).job(AWAY).run(over(1, AWAY), live(2, AWAY)).job(AWAY, 2),
        "attempt 1 in us-iad1 and attempt 2 in us-iad1 lived at once",
    ),
    "a Job where none was recorded": (
        Records().run(live(1, AWAY)).job(OTHER),
        "attempt 1 in eu-fra1 was never recorded to be there",
    ),
    "a Job before the run was held": (
        Records().run(live(1, AWAY), held=False).job(AWAY),
        "by a run that is held",
    ),
    "a Job long before its record": (
        Records().run().job(AWAY).later(LONG).run(live(1, AWAY)),
        "came to be before it was recorded",
    ),
    "a Job of no run": (Records().job(AWAY), "is of no run"),
    "a run that is let go too early": (
        Records().run(live(1, AWAY)).job(AWAY).run(live(1, AWAY), gone=True).later(LONG),
        "lived on after its run was gone",
    ),
    "another cluster that owes": (
        Records()
        .run(live(1, AWAY))
        .job(AWAY)
        .owes(OTHER, 1)
        .run(live(1, AWAY), gone=True)
        .later(LONG),
        "lived on after its run was gone",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_must_not_be_is_found(name: str) -> None:
    records, says = WRONG[name]
    assert says in records.faults


def test_what_a_cluster_is_noted_to_owe_may_outlive_its_run() -> None:
    records = Records().run(live(1, AWAY)).job(AWAY).pod(AWAY).owes(AWAY, 1)
    assert records.run(live(1, AWAY), gone=True).later(LONG).faults == ""


def test_gpus_are_held_by_jobs_and_by_pods_that_outlive_them() -> None:
    records = Records().job(AWAY, completions=2, gpus=2).pod(AWAY).pod(AWAY, 2)
    assert most_held(tuple(records.changes[AWAY])) == 5
    pools = [Pool(selector=frozenset(SELECTOR.items()), gpus=4)]
    (told,) = overcommitted(tuple(records.changes[AWAY]), pools)
    assert "5 GPUs of 4 are held" in told
    assert overcommitted(tuple(records.changes[AWAY]), [Pool(selector=frozenset({("gpu", "L4")}), gpus=0)]) == ()  # fmt: skip
