import asyncio
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.reasons import Reason
from lightcompute.backend import TemporaryFault
from lightcompute.core.decision import Event
from lightcompute.kube.client import ClusterClient
from lightcompute.kube.events import MOST_WAITING, EventRecorder
from lightcompute.kube.faults import NotFound
from lightcompute.testing.builders import NOON, a_run
from support.kube_builders import NAMESPACE
from support.rendered_runs import UID, in_cluster

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
RUN = in_cluster(a_run()).build()
STARTED = Event(type="Normal", reason=Reason.ATTEMPT_STARTING, message="attempt 1 is being started")


@dataclass
class Written:
    """Stands where a client would, and keeps what is written; `faults` come first."""

    created: list[dict[str, Any]] = field(default_factory=list)
    patched: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    time: datetime = NOON

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time

    async def create(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        self._fail()
        assert path == f"/api/v1/namespaces/{NAMESPACE}/events"
        self.created.append(document)
        return document

    async def patch(self, path: str, changes: dict[str, Any]) -> dict[str, Any]:
        self._fail()
        self.patched.append((path, changes))
        return changes

    def _fail(self) -> None:
        if self.faults:
            raise self.faults.pop(0)


def told(*events: Event, run: Any = RUN, faults: tuple[Exception, ...] = ()) -> Written:
    """What is written of these events, one after the other."""
    client = Written(faults=list(faults))

    async def tell() -> None:
        recorder = EventRecorder(cast("ClusterClient", client))
        for event in events:
            recorder.add(run, event)
        task = asyncio.create_task(recorder.run())
        for _ in range(10 + 5 * len(events)):
            await asyncio.sleep(0)
        assert recorder._waiting.empty()
        task.cancel()

    asyncio.run(tell())
    return client


def test_an_event_tells_of_its_run() -> None:
    [document] = told(STARTED).created
    assert document["involvedObject"] == {
        "apiVersion": "lightcompute.dev/v1alpha1",
        "kind": "TrainingRun",
        "name": "baseline",
        "namespace": NAMESPACE,
        "uid": UID,
    }
    assert document["metadata"]["namespace"] == NAMESPACE
    assert (document["type"], document["reason"]) == ("Normal", "AttemptStarting")
    assert document["count"] == 1
    assert document["firstTimestamp"] == document["lastTimestamp"]


@given(
    name=st.sampled_from(("a", "9", "x" * 63, "a" + "-" * 61 + "b")),
    message=st.text(st.characters(codec="utf-8"), max_size=50)
    | st.text(alphabet="xä漢🎓", min_size=200, max_size=1100),
    reason=st.sampled_from(list(Reason)),
)
def test_every_event_is_one_that_a_server_takes(name: str, message: str, reason: Reason) -> None:
    event = Event(type="Warning", reason=reason, message=message)
    [document] = told(event, run=in_cluster(a_run(), name).build()).created
    assert NAME.fullmatch(document["metadata"]["name"])
    assert len(document["metadata"]["name"]) <= 253
    assert len(document["message"].encode()) <= 1024
    assert message.startswith(document["message"])
    assert len(document["reason"]) <= 128
    assert len(document["reportingInstance"]) <= 128
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["firstTimestamp"])


def test_the_same_event_is_counted_up() -> None:
    client = told(STARTED, STARTED, STARTED)
    [document] = client.created
    path = f"/api/v1/namespaces/{NAMESPACE}/events/{document['metadata']['name']}"
    assert [where for where, _ in client.patched] == [path, path]
    assert [changes["count"] for _, changes in client.patched] == [2, 3]


@pytest.mark.parametrize(
    "other",
    [
        Event(type="Warning", reason=STARTED.reason, message=STARTED.message),
        Event(type="Normal", reason=Reason.ATTEMPT_RUNNING, message=STARTED.message),
        Event(type="Normal", reason=STARTED.reason, message="attempt 2 is being started"),
    ],
)
def test_another_event_is_another_object(other: Event) -> None:
    client = told(STARTED, other)
    assert len({each["metadata"]["name"] for each in client.created}) == 2


def test_an_event_that_the_server_dropped_is_told_anew() -> None:
    """Servers keep Events for an hour; what happens again after that is news again."""
    client = told(STARTED)
    assert len(client.created) == 1
    again = told_after_expiry()
    assert [each["count"] for each in again.created] == [1, 1]
    names = {each["metadata"]["name"] for each in again.created}
    assert len(names) == 2


@pytest.mark.parametrize("message", ["\ud800", "a\ud800" * 600])
def test_text_that_no_server_takes_is_mended(message: str) -> None:
    event = Event(type="Warning", reason=Reason.HANG, message=message)
    [document] = told(event).created
    document["message"].encode()


def told_after_expiry() -> Written:
    client = Written()

    async def tell() -> None:
        recorder = EventRecorder(cast("ClusterClient", client))
        await recorder._write(RUN, STARTED)
        client.faults.append(NotFound("gone"))
        await recorder._write(RUN, STARTED)
        await recorder._write(RUN, STARTED)

    asyncio.run(tell())
    assert [changes["count"] for _, changes in client.patched] == [2]
    return client


def test_an_event_that_cannot_be_written_holds_up_no_other() -> None:
    other = Event(type="Warning", reason=Reason.HANG, message="no report since noon")
    client = told(STARTED, other, faults=(TemporaryFault("no answer"),))
    assert [each["reason"] for each in client.created] == ["Hang"]


def test_too_many_events_are_dropped_and_not_waited_for() -> None:
    recorder = EventRecorder(cast("ClusterClient", Written()))
    for _ in range(MOST_WAITING + 10):
        recorder.add(RUN, STARTED)
    assert recorder._waiting.qsize() == MOST_WAITING
