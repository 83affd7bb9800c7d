"""What must hold at every moment for runs over several clusters: judged from the records of all of them. Pure.

Within one cluster, changes are compared by their versions, which is exact. Between two there is no common order but the time at which our
watches heard of each change, and each hears of it a little later than it was. So whatever two clusters say together counts only where
it held for longer than a watch may lag: an attempt that is moved too early lives beside the next one until it ends by itself, or its
cluster is heard again, and that is longer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lightcompute.api import labels
from support.run_audit import Change, Document, Kind, owed_by

LAG_SECONDS = 3.0
"""So much later than another a watch may hear of something, on a machine that is busy with the tests themselves."""
Record = tuple[Change, ...]
"""Changes of one API server, in the order of their versions."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """GPUs of the nodes that `selector` fits."""

    selector: frozenset[tuple[str, str]]
    gpus: int


@dataclass(frozen=True, kw_only=True)
class _Life:
    """From the first to the last moment that anything of an attempt may run in a cluster; `end` is None while it still does."""

    cluster: str
    attempt: int
    begin: Change
    end: Change | None

    def __str__(self) -> str:
        return f"attempt {self.attempt} in {self.cluster}"

    def ends_after(self, time: float, now: float) -> bool:
        """Whether it lasts until after `time`, by more than a watch may lag."""
        return (now if self.end is None else self.end.heard_at) > time + LAG_SECONDS

    def overlaps(self, other: _Life, now: float) -> bool:
        """Whether both lived at once."""
        if self.cluster == other.cluster:
            first, second = sorted((self, other), key=lambda life: life.begin.version)
            return first.end is None or second.begin.version < first.end.version
        later = max(self.begin.heard_at, other.begin.heard_at)
        return self.ends_after(later, now) and other.ends_after(later, now)


def fleet_violations(
    records: Mapping[str, Record], *, management: str, now: float
) -> tuple[str, ...]:
    """What did not hold until `now` (monotonic, in seconds), each a sentence. The runs are in the cluster `management`."""
    lives: dict[str, list[_Life]] = defaultdict(list)
    for cluster, record in records.items():
        for run_uid, life in _lives(cluster, record):
            lives[run_uid].append(life)
    said: list[str] = []
    for run_uid, of_run in lives.items():
        versions = tuple(
            each
            for each in records[management]
            if each.kind is Kind.RUN and each.uid == run_uid
        )  # fmt: skip
        if not versions:
            said += [f"{life} is of no run" for life in of_run]
            continue
        name = str(versions[0].document["metadata"]["name"])
        owed = _owed(records[management], run_uid, versions[-1])
        faults = (
            *_at_once(of_run, now),
            *_unrecorded((life for life in of_run if life.cluster != management), versions),
            *_beyond_their_end(of_run, versions, owed, now),
        )
        said += [f"{name}: {fault}" for fault in faults]
    return tuple(said)


def overcommitted(record: Record, pools: Iterable[Pool]) -> tuple[str, ...]:
    """Moments at which attempts held or asked for more GPUs of a pool than it has, each a sentence."""
    pools = tuple(pools)
    living: dict[tuple[Kind, str], Document] = {}
    said: list[str] = []
    for change in record:
        if change.kind not in {Kind.JOB, Kind.POD}:
            continue
        _put(living, change)
        for pool in pools:
            held = _held(living, pool.selector)
            if held > pool.gpus:
                where = dict(pool.selector)
                said.append(
                    f"version {change.version}: {held} GPUs of {pool.gpus} are held on {where}"
                )
    return tuple(said)


def most_held(record: Record) -> int:
    """GPUs that attempts held or asked for at once, at most."""
    living: dict[tuple[Kind, str], Document] = {}
    most = 0
    for change in record:
        if change.kind in {Kind.JOB, Kind.POD}:
            _put(living, change)
            most = max(most, _held(living, frozenset()))
    return most


# ---- rules ------------------------------------------------------------------------------------------


def _at_once(lives: list[_Life], now: float) -> Iterator[str]:
    """Never two attempts at once, nor one in two clusters."""
    for index, life in enumerate(lives):
        for other in lives[index + 1 :]:
            same = (life.cluster, life.attempt) == (other.cluster, other.attempt)
            if not same and life.overlaps(other, now):
                yield f"{life} and {other} lived at once"


def _unrecorded(lives: Iterable[_Life], versions: Record) -> Iterator[str]:
    """Nothing comes to be but where it was recorded to be before, for a run that is held by the finalizer."""
    for life in lives:
        recorded = [each for each in versions if _holds(each.document, life)]
        if not recorded:
            yield f"{life} was never recorded to be there by a run that is held"
        elif recorded[0].heard_at > life.begin.heard_at + LAG_SECONDS:
            yield f"{life} came to be before it was recorded"


def _beyond_their_end(
    lives: list[_Life], versions: Record, owed: Mapping[str, frozenset[int]], now: float
) -> Iterator[str]:
    """Nothing runs of an attempt that is recorded as over, nor of a run that is gone, unless its cluster is noted to owe it."""
    for life in lives:
        ended = next((each for each in versions if _is_ended(each.document, life.attempt)), None)
        if ended is not None and life.ends_after(ended.heard_at, now):
            yield f"{life} lived on after its end was recorded"
        gone = versions[-1] if versions[-1].gone else None
        if gone is None or life.attempt in owed.get(life.cluster, ()):
            continue
        if life.ends_after(gone.heard_at, now):
            yield f"{life} lived on after its run was gone"


def _owed(record: Record, run_uid: str, last: Change) -> dict[str, frozenset[int]]:
    """Attempts of the run by the cluster that was noted to owe them before the `last` change of the run."""
    noted: dict[str, frozenset[int]] = {}
    for change in record:
        if change.kind is Kind.CLUSTER and change.version < last.version:
            name = str(change.document["metadata"]["name"])
            here = {number for uid, number in owed_by(change.document) if uid == run_uid}
            noted[name] = noted.get(name, frozenset()) | here
    return noted


# ---- what a record says -----------------------------------------------------------------------------


def _lives(cluster: str, record: Record) -> Iterator[tuple[str, _Life]]:
    """Each life of each attempt, with the UID of its run."""
    living: dict[tuple[str, int], set[str]] = defaultdict(set)
    begun: dict[tuple[str, int], Change] = {}
    for change in record:
        if change.kind not in {Kind.JOB, Kind.POD} or _is_upkeep(change.document):
            continue
        owner = change.owner
        (living[owner].add if change.may_run else living[owner].discard)(change.uid)
        if living[owner]:
            begun.setdefault(owner, change)
        elif (begin := begun.pop(owner, None)) is not None:
            yield owner[0], _Life(cluster=cluster, attempt=owner[1], begin=begin, end=change)
    for (run_uid, attempt), begin in begun.items():
        yield run_uid, _Life(cluster=cluster, attempt=attempt, begin=begin, end=None)


def _is_upkeep(document: Document) -> bool:
    """It is no attempt, and has no GPU."""
    return labels.UPKEEP_OF in document["metadata"]["labels"]


def _holds(run: Document, life: _Life) -> bool:
    held = labels.FINALIZER in run["metadata"].get("finalizers", ())
    return held and any(
        each["number"] == life.attempt
        and each["state"] != "Ended"
        and each["place"]["cluster"] == life.cluster
        for each in _attempts(run)
    )


def _is_ended(run: Document, attempt: int) -> bool:
    return any(
        each["number"] == attempt and each["state"] == "Ended" for each in _attempts(run)
    )  # fmt: skip


def _attempts(run: Document) -> tuple[dict[str, Any], ...]:
    return tuple((run.get("status") or {}).get("attempts", ()))


def _put(living: dict[tuple[Kind, str], Document], change: Change) -> None:
    if change.may_run:
        living[change.kind, change.uid] = change.document
    else:
        living.pop((change.kind, change.uid), None)


def _held(
    living: Mapping[tuple[Kind, str], Document], selector: frozenset[tuple[str, str]]
) -> int:  # fmt: skip
    """GPUs of all pods that Jobs may make, and of pods whose Job makes no more."""
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    for kind in (Kind.POD, Kind.JOB):
        for (of, _), document in living.items():
            if of is not kind:
                continue
            marks = document["metadata"]["labels"]
            if _is_upkeep(document):
                continue
            owner = marks[labels.RUN_UID], marks[labels.ATTEMPT]
            spec = document["spec"]
            pod, count = spec, 1
            if kind is Kind.JOB:
                pod, count = spec["template"]["spec"], int(spec.get("completions") or 1)
            if selector <= set((pod.get("nodeSelector") or {}).items()):
                gpus = count * _gpus(pod)
                wanted[owner] = (
                    max(wanted[owner], gpus) if kind is Kind.JOB else wanted[owner] + gpus
                )
    return sum(wanted.values())


def _gpus(pod: Document) -> int:
    return sum(
        int((each.get("resources", {}).get("limits") or {}).get("nvidia.com/gpu", 0))
        for each in pod["containers"]
    )
