"""What a pool offers to a run: its price, and one reason why it cannot be had, in an order that a person would ask in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.money import parse_usd
from lightcompute.api.reasons import Reason
from lightcompute.api.status import Place, Whereabouts
from lightcompute.core.decide import decide
from lightcompute.core.decision import StartAttempt
from lightcompute.core.facts import establish
from lightcompute.core.line import Turn
from lightcompute.core.market import Stall, StockOut, offers_of
from lightcompute.core.placement import look_for_place
from lightcompute.core.room import Need, room_of
from lightcompute.core.seeking import places_wanted
from lightcompute.core.snapshot import Offer, Snapshot
from lightcompute.testing.builders import RunBuilder, a_run, a_snapshot, an_ended_attempt, at

FIRST = Turn(granted=None)
NOW = at(100)
POOL = Stall(
    place=Place(cluster="ord", region="US-ORD1", pool="a100", gpu_type="A100-40GB"),
    price_per_gpu_hour=parse_usd("1.50"),
    gpu_resource="nvidia.com/gpu",
    room=room_of([8, 8]),
    whole=room_of([8, 8]),
)


def a_team_run(**trainer: Any) -> RunBuilder:
    return a_run().with_metadata(namespace="team-a", uid="uid-1").with_spec(trainer=trainer)


def offered(stall: Stall, turn: Turn | None = FIRST, **trainer: Any) -> Offer:
    (offer,) = offers_of(a_team_run(**trainer).build(), (stall,), now=NOW, turn=turn)
    return offer


@pytest.mark.parametrize(
    ("trainer", "rate"),
    [
        ({}, "1.50"),
        ({"numProcPerNode": 4}, "6.00"),
        ({"numNodes": 2, "numProcPerNode": 2}, "6.00"),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": "3"}}}, "4.50"),
        ({"resourcesPerNode": {"limits": {"nvidia.com/gpu": "0"}}}, "1.50"),
    ],
)
def test_a_run_pays_for_the_gpus_that_it_holds(trainer: dict[str, Any], rate: str) -> None:
    assert offered(POOL, **trainer).rate_per_hour == parse_usd(rate)


def test_each_thing_that_stands_against_a_pool_has_its_reason() -> None:
    out = StockOut(
        label="team/x", need=Need(pods=1, gpus=1), time=NOW, until=NOW + timedelta(seconds=60)
    )
    cases = {
        Reason.NAMESPACE_NOT_ALLOWED: replace(POOL, namespaces=("team-b",)),
        Reason.CLUSTER_UNREACHABLE: replace(POOL, shut=(Reason.CLUSTER_UNREACHABLE, "gone")),
        Reason.TOO_LARGE: replace(POOL, room=room_of([0]), whole=room_of([0])),
        Reason.STOCKED_OUT: replace(POOL, stock_out=out),
        Reason.NO_CAPACITY: replace(POOL, room=room_of([0, 0])),
        None: POOL,
    }
    assert {reason: offered(stall).unavailable for reason, stall in cases.items()} == {
        reason: reason for reason in cases
    }


def test_what_is_kept_for_others_is_told_with_their_name() -> None:
    turn = Turn(granted=None, behind={POOL.place: "team/older"})
    offer = offered(POOL, turn)
    assert (offer.unavailable, "team/older" in offer.message) == (Reason.QUEUED_BEHIND, True)


def test_without_a_turn_everything_that_is_allowed_counts_as_free() -> None:
    assert offered(replace(POOL, room=room_of([0, 0])), None).unavailable is None


@pytest.mark.parametrize(("gpus", "believed"), [(1, False), (4, True), (8, True)])
def test_that_a_pool_takes_nothing_in_is_believed_by_those_who_need_no_less(
    gpus: int, believed: bool
) -> None:
    until = NOW + timedelta(seconds=60)
    out = StockOut(label="team/x", need=Need(pods=1, gpus=4), time=NOW, until=until)
    stall = replace(POOL, stock_out=out)
    found = offered(stall, numProcPerNode=gpus).unavailable
    assert found == (Reason.STOCKED_OUT if believed else None)
    assert offered(replace(stall, stock_out=replace(out, until=NOW)), numProcPerNode=gpus).unavailable is None  # fmt: skip


@given(free=st.lists(st.integers(0, 8), min_size=1, max_size=5), gpus=st.integers(1, 8))
def test_a_run_starts_only_where_all_its_pods_fit(free: list[int], gpus: int) -> None:
    stalls = tuple(
        replace(
            POOL,
            place=Place(cluster=f"c{number}", region="R", pool="p", gpu_type="T"),
            room=room_of([count]),
            whole=room_of([8]),
        )
        for number, count in enumerate(free)
    )
    run = a_team_run(numProcPerNode=gpus).build()
    offers = offers_of(run, stalls, now=NOW, turn=FIRST)
    decision = decide(Snapshot(run=run, now=NOW, offers=offers))
    starts = [action for action in decision.actions if isinstance(action, StartAttempt)]
    room = {stall.place: stall.room for stall in stalls}
    fits = [count >= gpus for count in free]
    assert len(starts) == any(fits)
    for start in starts:
        chosen = room[start.place]
        assert chosen is not None
        assert chosen.free >= gpus


def test_every_candidate_ends_with_a_reason_also_where_there_are_more_than_are_shown() -> None:
    stalls = tuple(
        replace(
            POOL,
            place=Place(cluster=f"c{number:03}", region="R", pool="p", gpu_type="T"),
            room=room_of([8 if number == 90 else 0]),
        )
        for number in range(100)
    )
    run = a_team_run().build()
    offers = offers_of(run, stalls, now=NOW, turn=FIRST)
    found = look_for_place(establish(Snapshot(run=run, now=NOW, offers=offers)))
    assert found.reasons == {Reason.NO_CAPACITY: 99, Reason.CHOSEN: 1}
    assert len(found.candidates) == 64
    assert found.candidates[-1].place.cluster == "c090", "the chosen one is always shown"


def test_a_run_stands_in_the_line_only_where_it_would_start() -> None:
    run = a_team_run()
    offers = offers_of(run.build(), (POOL,), now=NOW)
    assert places_wanted(a_snapshot(run, offers=offers, now=NOW)) == (POOL.place,)
    held = run.with_spec(suspend=True)
    assert places_wanted(a_snapshot(held, offers=offers, now=NOW)) == ()


def test_a_run_with_checkpoints_on_a_claim_stays_in_its_cluster() -> None:
    claim = {"persistentVolumeClaim": {"claimName": "runs"}}
    run = a_team_run().with_spec(storage=claim)
    before = an_ended_attempt(1, place=POOL.place)
    there = replace(POOL, place=Place(cluster="eur", region="EU-FRA1", pool="a", gpu_type="L40S"))
    offers = offers_of(run.build(), (there, POOL), now=NOW)
    snapshot = a_snapshot(run.with_attempts(before), offers=offers, now=at(10_000))
    found = look_for_place(establish(snapshot))
    told = {each.place.cluster: each.reason for each in found.candidates}
    assert told == {"eur": Reason.CLAIM_ELSEWHERE, "ord": Reason.CHOSEN}


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (Whereabouts(cluster_uid="one", namespace="training"), Reason.CHOSEN),
        (Whereabouts(cluster_uid="one", namespace="elsewhere"), Reason.CLAIM_ELSEWHERE),
        (Whereabouts(cluster_uid="another", namespace="training"), Reason.CLAIM_ELSEWHERE),
        (None, Reason.CHOSEN),
    ],
    ids=["as before", "another namespace", "another cluster", "not on record"],
)
def test_a_cluster_of_the_same_name_is_not_where_its_claim_is_once_it_leads_elsewhere(
    before: Whereabouts | None, reason: Reason
) -> None:
    run = a_team_run().with_spec(storage={"persistentVolumeClaim": {"claimName": "runs"}})
    ended = an_ended_attempt(1, place=POOL.place, whereabouts=before)
    here = replace(POOL, whereabouts=Whereabouts(cluster_uid="one", namespace="training"))
    offers = offers_of(run.build(), (here,), now=NOW)
    snapshot = a_snapshot(run.with_attempts(ended), offers=offers, now=at(10_000))
    [told] = look_for_place(establish(snapshot)).candidates
    assert told.reason == reason
