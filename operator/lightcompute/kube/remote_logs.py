"""The log of an attempt's pod through the API server: whole lines, each once, from before the pod starts to its end.

A stream may break long before the container ends (a kubelet restarts, a proxy loses patience): it is taken up where it broke,
by the times that the kubelet writes before each line.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from lightcompute.api import TrainingRun
from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.faults import Forbidden
from lightcompute.kube.observed import TRAINER, SeenPod
from lightcompute.kube.paths import PODS
from lightcompute.kube.remote import Remote
from lightcompute.kube.remote_faults import ClusterRefusal
from runcontract.faults import Fault

LONGEST_LINE_BYTES = 1 << 20
IDLE_SECONDS = 300.0
PATIENCE_SECONDS = 60.0
"""A server that does not answer for so long while a log is followed ends it."""
_WAIT_SECONDS = 1.0
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")

Write = Callable[[str], None]
"""Takes one line."""


class Moment(NamedTuple):
    """When a line was written: comparable within one log, whose times are all in one zone."""

    seconds: bytes
    fraction: bytes
    zone: bytes

    def __str__(self) -> str:
        return b"".join((self.seconds, b".", self.fraction, self.zone)).decode("ascii")


class Known:
    """Which lines at the beginning of a stream were written before it: those before a moment, and so many of that moment."""

    def __init__(self, until: Moment | None, count: int) -> None:
        self._until = until
        self._left = count
        self._had_last = False

    def has(self, moment: Moment | None) -> bool:
        """Whether the next line, of `moment`, is one of them; one without a time goes with the line before it."""
        if self._until is None:
            return False
        if moment is not None:
            self._had_last = moment < self._until
            if moment == self._until and self._left > 0:
                self._left -= 1
                self._had_last = True
        return self._had_last


class PodLog:
    """The log of the pod with index `rank` of one attempt; `there` is where its pods are, beside its run unless told otherwise."""

    def __init__(
        self,
        remote: Remote,
        run: TrainingRun,
        *,
        attempt: int,
        rank: int,
        there: Remote | None = None,
    ) -> None:
        self._remote = remote
        self._there = there or remote
        self._run = run
        self._attempt = attempt
        self._rank = rank
        self._until: Moment | None = None
        self._written_at_until = 0
        """Lines may share a moment: how many of the newest one were written."""

    async def print(self, write: Write, *, follow: bool, note: Write) -> None:
        """Hands each line to `write`; with `follow` until the attempt ends. `note` takes what it waits for, told once."""
        if not follow:
            await self._stream(await self._begun(), write)
            return
        told = ""
        silent_since: float | None = None
        while True:
            try:
                waits = await self._round(write)
                silent_since = None
            except TemporaryFault as fault:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > PATIENCE_SECONDS:
                    raise
                waits = str(fault)
            if waits is None:
                return
            if waits and waits != told:
                note(waits)
            told = waits
            await asyncio.sleep(_WAIT_SECONDS)

    async def _begun(self) -> SeenPod:
        """The pod as it is now, whose container must have begun."""
        pod = await self._pod()
        if pod is None:
            raise self._gone()
        waits = self._waits_for(pod)
        if waits:
            raise self._nothing_yet(waits)
        return pod

    async def _round(self, write: Write) -> str | None:
        """Writes what there is until it breaks off; what is waited for then, or None when the attempt has ended."""
        pod = await self._pod()
        if pod is None and not await self._is_live():
            raise self._gone()
        waits = self._waits_for(pod)
        if pod is None or waits:
            return waits
        try:
            await self._stream(pod, write, follow=True)
        except PermanentFault as fault:
            # Else it begins or goes at this moment: looked at again, which tells what it is.
            if isinstance(fault, Forbidden):
                raise
        return None if await self._has_ended(pod) else ""

    async def _pod(self) -> SeenPod | None:
        """The pod, or None where there is none of the attempt."""
        pods = await self._there.pods(self._run.metadata.uid, self._attempt)
        found = next((pod for pod in pods if pod.index == self._rank), None)
        if found is None and pods:
            ranks = ", ".join(str(pod.index) for pod in pods)
            raise ClusterRefusal(
                Fault(where="--rank", found=str(self._rank), expected=f"one of: {ranks}")
            )
        return found

    async def _is_live(self) -> bool:
        run = (await self._remote.find(self._run.metadata.name)).run
        return any(each.number == self._attempt and each.is_live for each in run.status.attempts)

    def _waits_for(self, pod: SeenPod | None) -> str:
        """What has to come before there is a log; nothing when it is there."""
        if pod is None:
            return f"attempt {self._attempt} has no pod yet"
        if pod.running or pod.ended is not None or pod.is_over:
            return ""
        if pod.scheduled_time is None:
            return f"{pod.name} has no node yet: {pod.unscheduled or 'the scheduler has not looked at it'}"
        reason, message = pod.waiting or ("its container has not begun", "")
        return f"{pod.name} waits: {reason}{message and ': '}{message}"

    async def _has_ended(self, pod: SeenPod) -> bool:
        pods = await self._there.pods(self._run.metadata.uid, self._attempt)
        now = next((each for each in pods if each.uid == pod.uid), None)
        return now is None or now.is_over or now.ended is not None

    async def _stream(self, pod: SeenPod, write: Write, *, follow: bool = False) -> None:
        """Writes what is new since the last line that was written."""
        query: list[tuple[str, str]] = [("container", TRAINER), ("timestamps", "true")]
        if follow:
            query.append(("follow", "true"))
        if self._until is not None:
            query.append(("sinceTime", str(self._until)))
        path = PODS.named(pod.namespace, pod.name, "log")
        known = Known(self._until, self._written_at_until)
        async with self._there.client.stream(path, query, idle_seconds=IDLE_SECONDS) as content:
            async for line in whole_lines(content.iter_any()):
                moment, words = parted(line)
                if not known.has(moment):
                    self._count(moment)
                    write(words.decode("utf-8", errors="replace"))

    def _count(self, moment: Moment | None) -> None:
        if moment is None:
            return
        self._written_at_until = self._written_at_until + 1 if moment == self._until else 1
        self._until = moment

    def _gone(self) -> ClusterRefusal:
        name = self._run.metadata.name
        place = self._run.status.placement.place
        elsewhere = f" (it was placed into cluster {place.cluster})" if place is not None else ""
        return ClusterRefusal(
            Fault(
                where=f"run {name}",
                found=f"no pod of attempt {self._attempt} in namespace {self._there.namespace}{elsewhere}",
                expected="a pod: its log goes with it",
                action=f"`lightcompute explain {name} -n {self._remote.namespace}` says how the attempt ended.",
            )
        )

    def _nothing_yet(self, waits: str) -> ClusterRefusal:
        return ClusterRefusal(
            Fault(
                where=f"run {self._run.metadata.name}",
                found=waits,
                expected="a container that has begun",
                action="--follow waits for it.",
            )
        )


def parted(line: bytes) -> tuple[Moment | None, bytes]:
    """The time before a line, and the line."""
    found = _STAMP.match(line)
    if found is None:
        return None, line
    moment = Moment(found[1], (found[2] or b"").ljust(9, b"0"), found[3])
    return moment, line[found.end() :]


async def whole_lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The lines in `pieces`; one that is too long comes in parts, what is left at the end is one too."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > LONGEST_LINE_BYTES:
            yield rest
            rest = b""
    if rest:
        yield rest
