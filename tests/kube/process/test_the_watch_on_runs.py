from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lightcompute.kube.client import Document
from lightcompute.kube.handlers import Backoffs, KopfWatch
from support.testcluster.proxy import FaultProxy

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


class Watching:
    """A watch on one namespace, and what it told."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.told: list[tuple[float, str | None, Document]] = []
        self.answers: list[tuple[str, str, int, float]] = []
        self.watch = KopfWatch(
            kubeconfig=kubeconfig,
            context=None,
            namespaces=(namespace,),
            tell=lambda type_, document: self.told.append((time.monotonic(), type_, document)),
            answered=lambda *answer: self.answers.append(answer),
        )

    def names(self) -> list[tuple[str | None, str]]:
        return [(type_, document["metadata"]["name"]) for _, type_, document in self.told]

    async def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - what is waited for is in other threads and processes
                await asyncio.sleep(0.005)


def watched(
    proxy: FaultProxy, namespace: str, story: Callable[[Watching], Awaitable[None]]
) -> Watching:
    """Runs `story` beside a watch, and ends the watch."""
    watching = Watching(proxy.kubeconfig, namespace)

    async def both() -> None:
        running = asyncio.create_task(watching.watch.run())
        telling = asyncio.ensure_future(story(watching))
        await asyncio.wait((running, telling), return_when=asyncio.FIRST_COMPLETED)
        watching.watch.stop()
        if running.done():
            telling.cancel()
        else:
            await telling
        await asyncio.wait_for(running, 20)

    asyncio.run(both())
    return watching


async def in_thread(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return await asyncio.to_thread(function, *arguments, **options)


def test_it_tells_of_what_is_there_and_of_what_happens_at_once(
    space: Any, fault_proxy: FaultProxy
) -> None:
    space.submit("there")
    delays: list[float] = []

    async def story(watching: Watching) -> None:
        await watching.until(lambda: (None, "there") in watching.names())
        for number in range(10):
            name = f"new-{number}"
            await in_thread(space.submit, name)
            made = time.monotonic()
            await watching.until(lambda name=name: ("ADDED", name) in watching.names())  # type: ignore[misc] # bound now
            delays.append(watching.told[-1][0] - made)
        assert watching.watch.silent_seconds < 5
        await in_thread(space.api.delete, f"{space.runs}/there")
        await watching.until(lambda: ("DELETED", "there") in watching.names())

    watched(fault_proxy, space.name, story)
    print(f"told after {sorted(round(1000 * each, 1) for each in delays)} ms")
    assert sorted(delays)[len(delays) // 2] < 0.5


def test_kopf_writes_nothing_not_even_to_a_run_that_bears_its_marks(
    space: Any, fault_proxy: FaultProxy
) -> None:
    marks = {
        "finalizers": ["kopf.zalando.org/KopfFinalizerMarker"],
        "annotations": {
            "kopf.zalando.org/last-handled-configuration": "{}",
            "kopf.zalando.org/seen": "{}",
        },
    }

    async def story(watching: Watching) -> None:
        await watching.until(lambda: fault_proxy.count(path="watch=true") > 0)
        await in_thread(space.submit, "marked")
        await in_thread(space.api.patch, f"{space.runs}/marked", {"metadata": marks})
        await watching.until(lambda: watching.names().count(("MODIFIED", "marked")) >= 1)
        await in_thread(space.api.delete, f"{space.runs}/marked")
        await watching.until(lambda: watching.names().count(("MODIFIED", "marked")) >= 2)
        await asyncio.sleep(1)

    watching = watched(fault_proxy, space.name, story)
    released = {"metadata": {"finalizers": None}}
    space.api.patch(f"{space.runs}/marked", released)
    assert fault_proxy.writes() == ()
    assert {method for method, *_ in watching.answers} == {"GET"}


def test_it_goes_on_after_cut_connections_errors_and_refused_credentials(
    space: Any, fault_proxy: FaultProxy
) -> None:
    async def story(watching: Watching) -> None:
        await watching.until(lambda: fault_proxy.count(path="watch=true") > 0)
        for number, status in enumerate((401, 403, 429, 500, 503)):
            rule = fault_proxy.answer(status, path="/trainingruns", times=2)
            await watching.until(lambda: fault_proxy.cut_watches("/trainingruns") > 0)
            await watching.until(lambda rule=rule: rule.hits == 2)  # type: ignore[misc] # bound now
            await in_thread(space.submit, f"after-{number}")
            name = f"after-{number}"
            await watching.until(
                lambda name=name: name in {told for _, told in watching.names()}  # type: ignore[misc] # bound now
            )

    watched(fault_proxy, space.name, story)


def test_after_a_version_that_is_too_old_it_lists_again(
    space: Any, fault_proxy: FaultProxy
) -> None:
    space.submit("there")

    async def story(watching: Watching) -> None:
        await watching.until(lambda: (None, "there") in watching.names())
        await watching.until(lambda: fault_proxy.inject(410, path="/trainingruns") > 0)
        await watching.until(lambda: watching.names().count((None, "there")) == 2)

    watched(fault_proxy, space.name, story)


def test_any_other_error_in_the_stream_ends_it_within_seconds(
    space: Any, fault_proxy: FaultProxy
) -> None:
    async def story(watching: Watching) -> None:
        await watching.until(lambda: fault_proxy.count(path="watch=true") > 0)
        await watching.until(lambda: fault_proxy.inject(500, path="/trainingruns") > 0)
        await asyncio.sleep(20)

    with pytest.raises(Exception, match="Error in the watch-stream"):
        watched(fault_proxy, space.name, story)


def test_waits_between_tries_begin_anew_for_each_request_and_have_no_end() -> None:
    backoffs = Backoffs()
    for _ in range(2):
        waits = iter(backoffs)
        assert [next(waits) for _ in range(100)][:6] == [0.2, 0.5, 1.0, 2.0, 4.0, 5.0]
