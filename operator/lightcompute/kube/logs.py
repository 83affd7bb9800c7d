"""What trainers said, read from their pods' logs through the API server: bounded, typed, and no faster than the server should be asked.

Each pod that trains is read in turn, the more of them the more rarely; one that ended is read once more, to its end, before its end
is judged. Reports of a log are folded as they come; no log is kept.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.core.progress import Progress
from lightcompute.kube.children import Heard
from lightcompute.kube.client import Query
from lightcompute.kube.faults import NotFound
from lightcompute.kube.observed import TRAINER, SeenPod
from lightcompute.kube.paths import PODS
from runcontract.progress import parse_report

logger = logging.getLogger(__name__)

SHORTEST_INTERVAL_SECONDS = 5.0
FIRST_LINES = 2000
"""So much of the end of a log is read by a reader that comes to it late."""
PIECE_BYTES = 1 << 20
LAST_READ_TRIES = 3
FOLD_AT_ONCE = 200
"""Lines that are read between two chances for other work."""
_STAMP = re.compile(
    rb"([1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How far one pod's log is read."""

    pod: SeenPod
    progress: Progress
    line_time: str = ""
    """The server's time of the newest line that was read: in UTC, with its fraction, so that later is larger."""
    until: datetime | None = None
    done: bool = False
    """Whether it was read after its container had ended."""
    tries: int = 0
    """How often in a row an ended pod's log was not read to its end."""
    overflows: int = 0
    """How often in a row there was more than fits into one piece; then fewer lines are asked for, from the end."""


class Api(Protocol):
    """What of an API server is needed: `client.ClusterClient`."""

    async def read(self, path: str, query: Query = (), *, limit_bytes: int) -> bytes:
        """The first `limit_bytes` of the text at `path`."""

    def now(self) -> datetime:
        """The server's time."""


class TrainerLogs:
    """The readings of all pods that train. `changed` is told the UID of a run that said something new."""

    def __init__(
        self, client: Api, *, reads_per_second: float, changed: Callable[[str], None]
    ) -> None:
        self._client = client
        self._reads_per_second = reads_per_second
        self._changed = changed
        self._readings: dict[str, Reading] = {}
        self.reads = 0

    def __len__(self) -> int:
        return len(self._readings)

    def heard(self, pod: SeenPod | None) -> Heard:
        """What is known of `pod`'s log."""
        reading = None if pod is None else self._readings.get(pod.uid)
        if reading is None:
            return Heard()
        return Heard(progress=reading.progress, until=reading.until)

    def follow(self, pod: SeenPod) -> None:
        """From now on `pod` is read while its trainer runs."""
        known = self._readings.get(pod.uid)
        if known is None:
            progress = Progress(attempt=pod.owner.attempt)
            self._readings[pod.uid] = Reading(pod=pod, progress=progress)
        elif known.pod != pod:
            self._readings[pod.uid] = replace(known, pod=pod)

    def forget(self, pod_uid: str) -> None:
        """Nothing of the pod is of interest any more."""
        self._readings.pop(pod_uid, None)

    async def read_to_the_end(self, pod: SeenPod) -> None:
        """Reads what is left of an ended pod's log, unless that was done or is in vain.

        Raises TemporaryFault where it should be tried again later: a server that had no time just now has none in a millisecond.
        """
        self.follow(pod)
        while self._is_worth_reading(pod):
            fault = await self.read(pod)
            if isinstance(fault, TemporaryFault) and self._is_worth_reading(pod):
                raise fault

    async def run(self) -> None:
        """Reads the log of each pod in turn, for ever."""
        while True:
            began = asyncio.get_running_loop().time()
            for pod in [each.pod for each in self._readings.values() if each.pod.running]:
                await self.read(pod)
                await asyncio.sleep(1 / self._reads_per_second)
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.2, SHORTEST_INTERVAL_SECONDS - took))

    async def read(self, pod: SeenPod) -> TemporaryFault | PermanentFault | None:
        """Reads once what is new in the log of `pod`, which was running or had ended when somebody saw it so; why not, if not."""
        reading = self._readings.get(pod.uid)
        if reading is None or reading.done:
            return None
        now = self._client.now()
        ended = pod.ended is not None
        self.reads += 1
        try:
            raw = await self._client.read(
                PODS.named(pod.namespace, pod.name, "log"),
                _query(reading),
                limit_bytes=PIECE_BYTES,
            )
        except NotFound:
            self._change(pod.uid, lambda known: replace(known, done=True))
            return None
        except (TemporaryFault, PermanentFault) as fault:
            logger.debug("The log of pod %s cannot be read: %s", pod.name, fault)
            # Failures while it runs take nothing from the tries at its end.
            self._change(pod.uid, lambda known: replace(known, tries=known.tries + int(ended)))
            return fault
        folded = await _folded(reading, raw)
        self._change(
            pod.uid,
            lambda known: _advanced(known, folded, ended=ended, size_bytes=len(raw), now=now),
        )
        return None

    def _is_worth_reading(self, pod: SeenPod) -> bool:
        known = self._readings.get(pod.uid)
        return known is not None and not known.done and known.tries < LAST_READ_TRIES

    def _change(self, uid: str, change: Callable[[Reading], Reading]) -> None:
        """Changes what is known by now: while one reader waits for an answer, another may have got one."""
        known = self._readings.get(uid)
        if known is None:
            return
        self._readings[uid] = after = change(known)
        if after.progress != known.progress:
            self._changed(known.pod.owner.run_uid)


def _advanced(
    known: Reading, folded: Reading, *, ended: bool, size_bytes: int, now: datetime
) -> Reading:
    """`known` after a piece of `size_bytes` that was asked for at `now`, when the container had `ended` or not, and is `folded`."""
    if known.done or folded.line_time < known.line_time:
        return known  # another reader is further
    read = replace(known, progress=folded.progress, line_time=folded.line_time)
    if size_bytes < PIECE_BYTES:
        return replace(read, until=now, done=ended, tries=0, overflows=0)
    # A log that is written faster than it is read is gone on with at its end.
    tries = known.tries + 1 if ended else 0
    return replace(read, tries=tries, overflows=known.overflows + 1)


def _query(reading: Reading) -> list[tuple[str, str | int]]:
    query: list[tuple[str, str | int]] = [
        ("container", TRAINER),
        ("timestamps", "true"),
        ("limitBytes", PIECE_BYTES),
    ]
    if not reading.line_time or reading.overflows:
        lines = max(1, FIRST_LINES // 10 ** min(reading.overflows, 9))
        return [*query, ("tailLines", lines)]
    # In whole seconds and from the second before: what was read already is passed over by its time.
    since = datetime.fromisoformat(f"{reading.line_time[:19]}+00:00") - timedelta(seconds=1)
    return [*query, ("sinceTime", since.strftime("%Y-%m-%dT%H:%M:%SZ"))]


async def _folded(reading: Reading, raw: bytes) -> Reading:
    """`reading` with the whole lines in `raw` folded in; each begins with its time and a space."""
    progress, newest = reading.progress, reading.line_time
    for number, line in enumerate(raw.split(b"\n")[:-1]):
        if number % FOLD_AT_ONCE == FOLD_AT_ONCE - 1:
            await asyncio.sleep(0)
        stamp, _, text = line.partition(b" ")
        time = _time(stamp)
        # Several lines may have one time, so they are held against what was read before, not against each other.
        if time <= reading.line_time:
            continue
        newest = max(newest, time)
        report = parse_report(text)
        if report is not None:
            progress = progress.with_report(report)
    return replace(reading, progress=progress, line_time=newest)


def _time(stamp: bytes) -> str:
    """The time of a line, in the form of `Reading.line_time`; nothing where it has none. A node writes its own zone."""
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return ""
    second, fraction, zone = (part.decode() for part in found.groups(default=b""))
    try:
        moment = datetime.fromisoformat(f"{second}{zone}")
        if zone != "Z":
            second = moment.astimezone(UTC).isoformat()[:19]
    except (ValueError, OverflowError):
        return ""
    return second + fraction.rstrip("0").rstrip(".")
