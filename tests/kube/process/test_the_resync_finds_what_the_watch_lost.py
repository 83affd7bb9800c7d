from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from lightcompute.backend import TemporaryFault
from lightcompute.kube.client import JSON, METADATA_LIST, Document
from lightcompute.kube.faults import NotFound
from lightcompute.kube.resync import PATIENCE_SECONDS, SETTLE_SECONDS, Resync, Told
from lightcompute.kube.runs import RunStore
from lightcompute.kube.work import WorkQueue
from support.virtual_time import now, run


class Runs:
    """The runs of an API server: lists in pages, single objects, and a count of what was asked."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.version = 100
        self.asked: list[str] = []
        self.down = False

    def put(self, name: str, uid: str | None = None) -> Document:
        self.version += 1
        known = self.documents.get(name)
        metadata = {
            "uid": uid or (known["metadata"]["uid"] if known else f"uid-{name}"),
            "resourceVersion": str(self.version),
            "namespace": "ns",
            "name": name,
        }
        self.documents[name] = {"metadata": metadata, "spec": {}}
        return self.documents[name]

    async def get(
        self, path: str, query: Iterable[tuple[str, Any]] = (), *, accept: str = JSON
    ) -> Document:
        if self.down:
            raise TemporaryFault("down")
        if path.endswith("/trainingruns"):
            self.asked.append("metadata" if accept == METADATA_LIST else "list")
            first = int(dict(query).get("continue") or 0)
            items = list(self.documents.values())[first : first + 2]
            token = str(first + 2) if first + 2 < len(self.documents) else ""
            return {"metadata": {"continue": token}, "items": items}
        self.asked.append(name := path.rpartition("/")[2])
        if name not in self.documents:
            raise NotFound(path)
        return self.documents[name]


class Story:
    def __init__(self) -> None:
        self.server = Runs()
        self.store = RunStore()
        self.queue = WorkQueue()
        self.told = Told()
        self.missed: list[int] = []
        self.resync = Resync(
            self.server, self.store, self.queue, self.told, missed=self.missed.append
        )

    def watch_tells(self, document: Document) -> None:
        metadata = document["metadata"]
        self.told.tell(metadata["uid"], metadata["resourceVersion"])
        self.store.seen(document)

    def round(self) -> None:
        run(self.resync.round(SETTLE_SECONDS, PATIENCE_SECONDS))

    def queued(self) -> set[str]:
        keys = set()
        while (key := self.queue.next()) is not None:
            keys.add(key)
            self.queue.done(key)
        return keys


@pytest.fixture
def story() -> Story:
    return Story()


def test_at_the_start_every_run_is_known_and_wanted_whatever_the_watch_does(story: Story) -> None:
    for name in "abcde":
        story.server.put(name)
    run(story.resync.learn_all())
    assert story.queued() == {f"uid-{name}" for name in "abcde"}
    assert story.resync.listed.is_set()
    assert story.server.asked == ["list", "list", "list"]


def test_a_round_in_which_nothing_was_lost_asks_for_one_list_and_wants_nothing(
    story: Story,
) -> None:
    story.watch_tells(story.server.put("a"))
    story.round()
    assert story.server.asked == ["metadata"]
    assert story.queued() == set()
    assert story.missed == []


def test_a_change_that_the_watch_lost_is_fetched_and_counted_once(story: Story) -> None:
    story.watch_tells(story.server.put("a"))
    story.watch_tells(story.server.put("b"))
    story.server.put("a")
    story.server.put("new")
    story.round()
    assert story.queued() == {"uid-a", "uid-new"}
    assert story.store.versions() == {
        each["metadata"]["uid"]: each["metadata"]["resourceVersion"]
        for each in story.server.documents.values()
    }
    assert story.missed == [2]
    story.round()
    assert story.missed == [2]


def test_a_deletion_that_the_watch_lost_is_found_and_the_run_is_wanted(story: Story) -> None:
    story.watch_tells(story.server.put("a"))
    del story.server.documents["a"]
    story.round()
    assert story.queued() == {"uid-a"}
    assert len(story.store) == 0
    assert story.missed == [1]
    assert story.told._versions == {}, "what is gone is kept"
    story.round()
    assert story.missed == [1]


def test_a_run_that_was_made_anew_under_its_name_is_another_run(story: Story) -> None:
    story.watch_tells(story.server.put("a"))
    story.server.put("a", uid="uid-second")
    story.round()
    assert story.queued() == {"uid-a", "uid-second"}
    assert story.store.keys() == ("uid-second",)


def test_a_run_that_is_younger_than_the_list_is_not_taken_for_gone(story: Story) -> None:
    class Late(Runs):
        async def get(self, path: str, *arguments: Any, **options: Any) -> Document:
            answer = await super().get(path, *arguments, **options)
            return answer | {"items": []} if path.endswith("/trainingruns") else answer

    story.watch_tells(story.server.put("a"))
    late = Late()
    late.documents = story.server.documents
    story.resync._client = late
    story.round()
    assert story.store.keys() == ("uid-a",)
    assert story.queued() == set()


def test_what_the_watch_brings_in_time_is_not_fetched(story: Story) -> None:
    async def rounds() -> None:
        document = story.server.put("a")
        asyncio.get_running_loop().call_later(4, story.watch_tells, document)
        await story.resync.round(SETTLE_SECONDS, PATIENCE_SECONDS)
        assert now() == PATIENCE_SECONDS

    run(rounds())
    assert story.server.asked == ["metadata"]
    assert story.missed == []


def test_what_the_watch_brings_late_is_fetched_but_not_held_against_it(story: Story) -> None:
    async def rounds() -> None:
        document = story.server.put("a")
        asyncio.get_running_loop().call_later(20, story.watch_tells, document)
        await story.resync.round(SETTLE_SECONDS, PATIENCE_SECONDS)

    run(rounds())
    assert story.queued() == {"uid-a"}
    assert story.missed == []


def test_a_watch_that_misses_something_in_three_rounds_is_blind_until_it_tells_again(
    story: Story,
) -> None:
    story.watch_tells(story.server.put("a"))
    for number in range(3):
        assert not story.resync.is_blind
        story.server.put("a")
        story.round()
        if number == 1:
            story.round()  # In which nothing happens: nothing is known about the watch.
    assert story.resync.is_blind
    story.watch_tells(story.server.put("a"))
    story.round()
    assert not story.resync.is_blind


def test_our_own_writes_are_no_news_but_the_watch_must_tell_of_them(story: Story) -> None:
    document = story.server.put("a")
    story.watch_tells(document)
    story.store.seen(story.server.put("a"))
    story.round()
    assert story.queued() == set()
    assert story.missed == [1]


def test_rounds_go_on_after_one_that_failed(story: Story) -> None:
    async def minutes() -> None:
        story.server.down = True
        task = asyncio.create_task(story.resync.run())
        await asyncio.sleep(7)
        assert not story.resync.listed.is_set()
        story.server.down = False
        story.server.put("a")
        await asyncio.sleep(2)
        assert story.resync.listed.is_set()
        story.server.down = True
        await asyncio.sleep(60)
        story.server.down = False
        story.server.put("b")
        await asyncio.sleep(70)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(minutes())
    assert story.queued() == {"uid-a", "uid-b"}
