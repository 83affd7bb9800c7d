"""The log of a pod that ends is read by two at once: who reads all of them in turn, and who judges the end. Every order is tried."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product

import pytest

from lightcompute.backend import PermanentFault, TemporaryFault
from lightcompute.kube.client import Query
from lightcompute.kube.faults import NotFound
from lightcompute.kube.logs import LAST_READ_TRIES, TrainerLogs
from lightcompute.testing.builders import at
from runcontract.progress import Stepped, report_line
from support.kube_builders import a_pod

RUNNING = a_pod().scheduled().running().kept()
OVER = a_pod().scheduled().over(0).kept()
CHOICES = 5
MOST_ANSWERS = CHOICES + 2 * LAST_READ_TRIES + 2
"""After what is chosen nothing is answered but failures, and each reader has its tries."""


def log(steps: int) -> bytes:
    lines = [
        report_line(
            Stepped(
                time=at(step), attempt=1, step=step, max_steps=9, epoch=0.5, tokens=step, training_loss=2.5,
                learning_rate=1e-3, gradient_norm=1.0, tokens_per_second=1.0,
            )
        )
        for step in range(1, steps + 1)
    ]  # fmt: skip
    return b"".join(
        f"{at(number):%Y-%m-%dT%H:%M:%SZ} {text}\n".encode() for number, text in enumerate(lines, 1)
    )


PART, WHOLE = log(2), log(3)


@dataclass
class Server:
    """Answers when it is told to, and with what."""

    waiting: list[asyncio.Future[bytes]] = field(default_factory=list)

    async def read(self, path: str, query: Query = (), *, limit_bytes: int) -> bytes:
        self.waiting.append(asyncio.get_running_loop().create_future())
        return await self.waiting[-1]

    def now(self) -> datetime:
        return at(100)

    async def answer(self, number: int, with_: bytes | Exception) -> None:
        asked = self.waiting.pop(number)
        if isinstance(with_, bytes):
            asked.set_result(with_)
        else:
            asked.set_exception(with_)
        for _ in range(5):  # until both readers wait again
            await asyncio.sleep(0)


async def judged(logs: TrainerLogs) -> None:
    """Looks again as long as that is asked for."""
    while True:
        with suppress(TemporaryFault):
            return await logs.read_to_the_end(OVER)


async def play(order: tuple[tuple[int, str], ...]) -> tuple[int, int | None, bool]:
    """Answers until the reader that judges has ended, the step that is known then, and whether all was read."""
    server = Server()
    changed: list[str] = []
    logs = TrainerLogs(server, reads_per_second=1e6, changed=changed.append)
    logs.follow(RUNNING)
    turns = asyncio.create_task(logs.read(RUNNING))
    await asyncio.sleep(0)
    judging = asyncio.create_task(judged(logs))
    await asyncio.sleep(0)
    choices = list(order)
    answers = 0
    complete = False
    while not judging.done() and answers < MOST_ANSWERS:
        which, what = choices.pop(0) if choices else (-1, "fails")
        number = which % len(server.waiting)
        if what == "gone":
            with_: bytes | Exception = NotFound("gone")
        else:
            with_ = {"part": PART, "whole": WHOLE}.get(what, TemporaryFault("no"))
        complete = complete or with_ == WHOLE
        await server.answer(number, with_)
        answers += 1
    assert judging.done(), f"still read after {answers} answers"
    while server.waiting:
        await server.answer(0, TemporaryFault("no"))
    await turns
    heard = logs.heard(OVER)
    return answers, heard.progress.step if heard.progress else None, complete


@pytest.mark.slow
def test_the_reading_of_an_ended_log_ends_whatever_is_answered_to_whom() -> None:
    kinds = ("fails", "part", "whole")
    tried = 0
    for order in product(product((0, -1), kinds), repeat=CHOICES):
        _, step, complete = asyncio.run(play(order))
        tried += 1
        if complete:
            assert step == 3, order
    print(f"{tried} orders")


@pytest.mark.parametrize("which", [0, -1])
def test_a_pod_that_is_gone_is_read_no_more(which: int) -> None:
    answers, _, _ = asyncio.run(play(((which, "gone"), (0, "fails"))))
    assert answers <= 2


def test_a_server_without_time_is_asked_again_later_and_one_that_refuses_is_not() -> None:
    async def tried(fault: Exception) -> list[int]:
        server = Server()
        logs = TrainerLogs(server, reads_per_second=1e6, changed=lambda _: None)
        asked = []
        for _ in range(LAST_READ_TRIES + 1):
            looking = asyncio.create_task(logs.read_to_the_end(OVER))
            asked.append(0)
            await asyncio.sleep(0)
            while server.waiting:
                asked[-1] += 1
                await server.answer(0, fault)
            with suppress(TemporaryFault):
                await looking
        return asked

    assert asyncio.run(tried(TemporaryFault("too many requests"))) == [1] * LAST_READ_TRIES + [0]
    assert asyncio.run(tried(PermanentFault("no"))) == [LAST_READ_TRIES, 0, 0, 0]


def test_a_reading_that_is_forgotten_meanwhile_stays_forgotten() -> None:
    async def forgotten() -> int:
        server = Server()
        logs = TrainerLogs(server, reads_per_second=1e6, changed=lambda _: None)
        judging = asyncio.create_task(logs.read_to_the_end(OVER))
        await asyncio.sleep(0)
        logs.forget(OVER.uid)
        await server.answer(0, WHOLE)
        await judging
        return len(logs)

    assert asyncio.run(forgotten()) == 0
