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

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.core.progress import Progress
from lightcompute.kube.children import Heard
from lightcompute.kube.client import ClusterClient
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


class TrainerLogs:
    """The readings of all pods that train. `changed` is told the UID of a run that said something new."""

    def __init__(
        self, client: ClusterClient, *, reads_per_second: float, changed: Callable[[str], None]
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
        """Reads what is left of an ended pod's log, unless that was done or is in vain."""
        self.follow(pod)
        reading = self._readings[pod.uid]
        while not reading.done and reading.tries < LAST_READ_TRIES:
            await self._read(pod.uid)
            reading = self._readings.get(pod.uid, replace(reading, done=True))

    async def run(self) -> None:
        """Reads the log of each pod in turn, for ever."""
        while True:
            began = asyncio.get_running_loop().time()
            running = [uid for uid, each in self._readings.items() if each.pod.running]
            for uid in running:
                await self._read(uid)
                await asyncio.sleep(1 / self._reads_per_second)
            took = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.2, SHORTEST_INTERVAL_SECONDS - took))

    async def _read(self, uid: str) -> None:
        reading = self._readings.get(uid)
        if reading is None or reading.done:
            return
        pod = reading.pod
        now = self._client.now()
        self.reads += 1
        try:
            raw = await self._client.read(
                PODS.named(pod.namespace, pod.name, "log"),
                _query(reading),
                limit_bytes=PIECE_BYTES,
            )
        except NotFound:
            self._readings[uid] = replace(reading, done=True)
            return
        except (TemporaryFault, PermanentFault) as fault:
            logger.debug("The log of pod %s cannot be read: %s", pod.name, fault)
            # Failures while it runs take nothing from the tries at its end.
            failed = reading.tries + 1 if pod.ended is not None else 0
            self._readings[uid] = replace(reading, tries=failed)
            return
        folded = await _folded(reading, raw)
        known = self._readings.get(uid)
        if known is None:
            return
        self._readings[uid] = _advanced(
            folded, pod=known.pod, ended=pod.ended is not None, size_bytes=len(raw), now=now
        )
        if folded.progress != reading.progress:
            self._changed(pod.owner.run_uid)


def _advanced(
    reading: Reading, *, pod: SeenPod, ended: bool, size_bytes: int, now: datetime
) -> Reading:
    """`reading` after a piece of `size_bytes` that was asked for at `now`, when the container had `ended` or not."""
    if size_bytes < PIECE_BYTES:
        return replace(reading, pod=pod, until=now, done=ended, tries=0, overflows=0)
    # A log that is written faster than it is read is gone on with at its end.
    tries = reading.tries + 1 if ended else 0
    return replace(reading, pod=pod, tries=tries, overflows=reading.overflows + 1)


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
