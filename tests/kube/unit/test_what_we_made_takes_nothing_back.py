"""A Job that we create is known by the answer and by the watch, whichever comes first: the later of the two takes nothing back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from lightcompute.kube.client import ClusterClient
from lightcompute.kube.family import Family
from lightcompute.kube.observed import SeenJob, kept_job
from lightcompute.kube.reflector import Reflector
from support.kube_builders import UID, JobBuilder, a_job

_PATH = "/apis/batch/v1/jobs"
Document = dict[str, Any]
MADE = a_job()
STARTED, COMPLETE = MADE.started(), MADE.started().complete()


def at_version(job: JobBuilder, version: int) -> Document:
    return job._changed("metadata", resourceVersion=str(version)).document


EVENTS = (
    ("ADDED", at_version(MADE, 10)),
    ("MODIFIED", at_version(STARTED, 11)),
    ("MODIFIED", at_version(COMPLETE, 12)),
    ("DELETED", at_version(COMPLETE, 13)),
)


class Server:
    """Lists nothing, and tells what it is given to tell."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, Document] | None] = asyncio.Queue()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": []})
        response = web.StreamResponse()
        await response.prepare(request)
        while (event := await self.told.get()) is not None:
            type_, document = event
            await response.write(json.dumps({"type": type_, "object": document}).encode() + b"\n")
        return response


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - a watch has no event for it
            await asyncio.sleep(0.002)


async def known_after(told_before: int, told: int) -> tuple[bool, tuple[SeenJob, ...]]:
    """The answer to our creation comes after so many events of `told`: whether the Job is known then, and what is known at last."""
    server, app = Server(), web.Application()
    app.router.add_get(_PATH, server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    client = ClusterClient(configuration)
    family = Family(lambda _: None)
    heard: list[SeenJob | None] = []

    def changed(before: SeenJob | None, after: SeenJob | None) -> None:
        heard.append(after)
        family.job_changed(before, after)

    jobs: Reflector[SeenJob] = Reflector(client, _PATH, keep=kept_job, changed=changed)
    watching = asyncio.create_task(jobs.run())
    try:
        await jobs.synced.wait()
        for event in EVENTS[:told_before]:
            await server.told.put(event)
        await until(lambda: len(heard) == told_before)
        jobs.made(at_version(MADE, 10))
        known = bool(family.of(UID).jobs)
        for event in EVENTS[told_before:told]:
            await server.told.put(event)
        # A mark that all of them have been read.
        await server.told.put(("ADDED", at_version(MADE.named("mark", "mark"), 20)))
        await until(lambda: jobs.get("mark") is not None)
        found = family.of(UID).jobs.values()
        return known, tuple(job for job in found if job.uid != "mark")
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await server.told.put(None)
        await client.close()
        await runner.cleanup()


@pytest.mark.parametrize("told_before", range(len(EVENTS) + 1))
def test_what_the_watch_told_last_holds_wherever_the_answer_comes(told_before: int) -> None:
    last: dict[int, tuple[SeenJob, ...]] = {
        1: (MADE.kept(),),
        2: (STARTED.kept(),),
        3: (COMPLETE.kept(),),
        4: (),
    }
    for told in range(max(told_before, 1), len(EVENTS) + 1):
        _, found = asyncio.run(known_after(told_before, told))
        assert found == last[told], (told_before, told)


def test_what_we_made_is_known_before_the_watch_tells_of_it() -> None:
    known, _ = asyncio.run(known_after(0, 1))
    assert known
