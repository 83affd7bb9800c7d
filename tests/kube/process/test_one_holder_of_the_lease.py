from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.backend import TemporaryFault
from lightcompute.kube.lease_holder import LeaseHolder, LeaseLost
from support.leases import Fate, LeaseClient, LeaseServer
from support.virtual_time import now, run

SECONDS = 15
CERTAIN = SECONDS * 0.8


def a_holder(client: LeaseClient, identity: str = "me", seconds: int = SECONDS) -> LeaseHolder:
    return LeaseHolder(
        client, namespace="ns", name="lease", seconds=seconds, identity=identity, clock=now
    )


class Candidate:
    """One operator as far as the Lease goes: waits for it, keeps it, ends when it is lost."""

    def __init__(self, server: LeaseServer, identity: str, **client: object) -> None:
        self.client = LeaseClient(server, **client)  # type: ignore[arg-type] # words of the test
        self.holder = a_holder(self.client, identity)
        self.lost = ""
        self.acquired_at: float | None = None
        self.task = asyncio.create_task(self._live())

    async def _live(self) -> None:
        await self.holder.acquire()
        self.acquired_at = now()
        try:
            await self.holder.keep()
        except LeaseLost as lost:
            self.lost = str(lost)

    def is_sure(self) -> bool:
        return self.holder.held

    def suffer(self, deed: str) -> None:
        match deed:
            case "pause":
                self.client.running.clear()
            case "resume":
                self.client.running.set()
            case _:
                self.task.cancel()

    async def kill(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def story(tell: Callable[[LeaseServer], Awaitable[None]]) -> None:
    run(tell(LeaseServer()))  # type: ignore[arg-type] # a coroutine function


def test_the_first_gets_it_at_once_with_token_zero() -> None:
    async def tell(server: LeaseServer) -> None:
        holder = a_holder(LeaseClient(server))
        assert not holder.held
        with pytest.raises(TemporaryFault, match="not written"):
            holder.guard()
        await holder.acquire()
        assert now() == 0
        holder.guard()
        assert holder.transitions == 0
        assert server.lease is not None
        assert server.lease["spec"] == {
            "holderIdentity": "me",
            "leaseDurationSeconds": SECONDS,
            "leaseTransitions": 0,
            "acquireTime": "2030-01-01T00:00:00.000000Z",
            "renewTime": "2030-01-01T00:00:00.000000Z",
        }

    story(tell)


def test_it_is_renewed_three_times_in_its_time_and_never_uncertain() -> None:
    async def tell(server: LeaseServer) -> None:
        me = Candidate(server, "me")
        for _ in range(122):
            await asyncio.sleep(0.5)
            assert me.holder.held
        assert server.writes == 1 + 60 // 5

    story(tell)


def test_the_second_waits_and_takes_over_when_the_first_was_killed() -> None:
    async def tell(server: LeaseServer) -> None:
        first, second = Candidate(server, "first"), Candidate(server, "second")
        await asyncio.sleep(100)
        assert first.holder.held
        assert not second.holder.held
        await first.kill()
        killed_at = now()
        await asyncio.sleep(30)
        assert second.acquired_at is not None
        assert SECONDS - 6 <= second.acquired_at - killed_at <= SECONDS + 2
        assert second.holder.transitions == 1

    story(tell)


def test_what_others_write_on_a_dead_holders_lease_does_not_keep_it_alive() -> None:
    async def tell(server: LeaseServer) -> None:
        first, second = Candidate(server, "first"), Candidate(server, "second")
        await asyncio.sleep(20)
        await first.kill()
        for number in range(SECONDS + 2):
            assert server.lease is not None
            labels = {"labels": {"number": str(number)}}
            server.store(server.lease | {"metadata": server.lease["metadata"] | labels})
            await asyncio.sleep(1)
        assert second.holder.held

    story(tell)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_wrong_clock_on_either_side_changes_nothing(hours: int) -> None:
    async def tell(server: LeaseServer) -> None:
        first = Candidate(server, "first", clock_is_wrong_by=timedelta(hours=hours))
        second = Candidate(server, "second")
        await asyncio.sleep(100)
        assert (first.holder.held, second.holder.held) == (True, False)

    story(tell)


def test_whoever_gives_it_back_is_followed_at_once() -> None:
    async def tell(server: LeaseServer) -> None:
        first, second = Candidate(server, "first"), Candidate(server, "second")
        await asyncio.sleep(20)
        await first.kill()
        await first.holder.release()
        assert not first.holder.held
        await asyncio.sleep(1.1)
        assert second.holder.held

    story(tell)


def test_a_stolen_lease_is_lost_and_guards_from_then_on() -> None:
    async def tell(server: LeaseServer) -> None:
        me = Candidate(server, "me")
        await asyncio.sleep(7)
        assert server.lease is not None
        spec = server.lease["spec"] | {"holderIdentity": "thief", "leaseTransitions": 7}
        server.store(server.lease | {"spec": spec})
        await asyncio.sleep(5)
        assert "thief holds the Lease ns/lease, fencing token 7; ours was 0" in me.lost
        with pytest.raises(TemporaryFault):
            me.holder.guard()
        await me.holder.release()
        assert server.holder == "thief"

    story(tell)


def test_a_lease_that_somebody_emptied_or_labelled_is_kept() -> None:
    async def tell(server: LeaseServer) -> None:
        me = Candidate(server, "me")
        await asyncio.sleep(1)
        assert server.lease is not None
        labels = {"metadata": server.lease["metadata"] | {"labels": {"team": "a"}}}
        server.store(server.lease | labels)
        await asyncio.sleep(6)
        server.store(server.lease | {"spec": server.lease["spec"] | {"holderIdentity": ""}})
        await asyncio.sleep(30)
        assert me.holder.held
        assert not me.lost
        assert server.holder == "me"
        assert server.lease["metadata"]["labels"] == {"team": "a"}

    story(tell)


def test_a_deleted_lease_is_made_anew_by_its_holder_with_a_higher_token() -> None:
    async def tell(server: LeaseServer) -> None:
        me, other = Candidate(server, "me"), Candidate(server, "other")
        await asyncio.sleep(7)
        server.lease = None
        await asyncio.sleep(30)
        assert (me.holder.held, other.holder.held) == (True, False)
        assert me.holder.transitions == 1

    story(tell)


def test_nobody_who_saw_it_held_takes_a_deleted_lease_before_its_time_is_over() -> None:
    async def tell(server: LeaseServer) -> None:
        me, other = Candidate(server, "me"), Candidate(server, "other")
        await asyncio.sleep(7)
        server.lease = None
        me.client.fate = lambda: (Fate.REQUEST_LOST, 0.0)
        for _ in range(100):
            await asyncio.sleep(0.25)
            assert not (me.holder.held and other.holder.held)
        assert other.holder.held
        assert other.holder.transitions == 1

    story(tell)


def test_while_the_server_is_down_nothing_may_be_written_and_afterwards_it_goes_on() -> None:
    async def tell(server: LeaseServer) -> None:
        me = Candidate(server, "me")
        await asyncio.sleep(5.1)
        me.client.fate = lambda: (Fate.REQUEST_LOST, 0.0)
        await asyncio.sleep(CERTAIN - 0.5)
        assert me.is_sure()
        await asyncio.sleep(1)
        assert not me.is_sure()
        await asyncio.sleep(300)
        assert not me.lost
        me.client.fate = lambda: (Fate.ANSWERED, 0.0)
        await asyncio.sleep(1.1)
        assert me.is_sure()
        assert me.holder.transitions == 0

    story(tell)


def test_answers_that_get_lost_are_found_out_about() -> None:
    async def tell(server: LeaseServer) -> None:
        fates = [Fate.ANSWERED, Fate.ANSWER_LOST]
        me = Candidate(server, "me", fate=lambda: (fates.pop(0) if fates else Fate.ANSWERED, 0.0))
        await asyncio.sleep(3)
        assert me.holder.held
        fates.append(Fate.ANSWER_LOST)
        await asyncio.sleep(20)
        assert me.holder.held
        assert not me.lost

    story(tell)


def test_whoever_wakes_after_its_time_may_not_write_and_learns_that_it_lost() -> None:
    async def tell(server: LeaseServer) -> None:
        sleeper, other = Candidate(server, "sleeper"), Candidate(server, "other")
        await asyncio.sleep(4)
        sleeper.client.running.clear()
        await asyncio.sleep(40)
        assert other.holder.held
        assert not sleeper.holder.held
        sleeper.client.running.set()
        await asyncio.sleep(12)
        assert not sleeper.holder.held
        assert "other holds the Lease" in sleeper.lost

    story(tell)


def test_an_answer_that_comes_late_makes_it_certain_from_when_it_was_asked_only() -> None:
    async def tell(server: LeaseServer) -> None:
        me = Candidate(server, "me", fate=lambda: (Fate.ANSWERED, 4.0))
        await asyncio.sleep(4 + 4 + 0.1)
        assert me.acquired_at == 8
        me.client.fate = lambda: (Fate.REQUEST_LOST, 0.0)
        await asyncio.sleep(4 + CERTAIN - 8.1 + 0.1)
        assert not me.holder.held

    story(tell)


FATES = st.lists(
    st.tuples(
        st.sampled_from([Fate.ANSWERED, Fate.ANSWERED, Fate.REQUEST_LOST, Fate.ANSWER_LOST]),
        st.sampled_from([0.0, 0.0, 0.3, 2.0, 4.9, 6.0, 20.0]),
    ),
    max_size=40,
)
DEEDS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["pause", "resume", "kill"]), st.floats(0.1, 20.0)
    ),
    max_size=12,
)


@pytest.mark.slow
@given(fates=st.lists(FATES, min_size=3, max_size=3), deeds=DEEDS)
def test_two_never_hold_it_whatever_happens_to_requests_and_processes(
    fates: list[list[tuple[Fate, float]]], deeds: list[tuple[int, str, float]]
) -> None:
    async def tell(server: LeaseServer) -> None:
        rest = [list(each) for each in fates]

        def next_fate(number: int) -> tuple[Fate, float]:
            return rest[number].pop(0) if rest[number] else (Fate.ANSWERED, 0.0)

        people = [
            Candidate(server, f"p{number}", fate=lambda number=number: next_fate(number))
            for number in range(3)
        ]

        for who, deed, seconds in deeds:
            people[who].suffer(deed)
            await only_one_holds(people, seconds)
        for each in people:
            each.suffer("resume")
        await only_one_holds(people, 60)
        for left in rest:
            left.clear()
        await only_one_holds(people, 30)
        alive = [each for each in people if not each.task.done()]
        assert not alive or any(each.holder.held for each in alive)

    story(tell)


async def only_one_holds(people: list[Candidate], seconds: float) -> None:
    for _ in range(int(seconds / 0.2) + 1):
        await asyncio.sleep(0.2)
        assert sum(each.holder.held for each in people) <= 1
