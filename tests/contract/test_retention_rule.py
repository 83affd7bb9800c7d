"""Which checkpoints are kept, for every folder and every setting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcontract.retention import KeepReason, KnownCheckpoint, Retention, retain

checkpoints = st.lists(
    st.builds(
        KnownCheckpoint,
        step=st.integers(0, 40),
        verified=st.booleans(),
        validation_loss=st.none() | st.integers(1, 5).map(float),
        pinned=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda checkpoint: checkpoint.step,
)


def rule(
    known: list[KnownCheckpoint], keep_latest: int, keep_best: bool, resumed_from: int | None
) -> Retention:
    return retain(known, keep_latest=keep_latest, keep_best=keep_best, resumed_from=resumed_from)


settings = (checkpoints, st.integers(1, 5), st.booleans(), st.none() | st.integers(0, 40))


@given(*settings)
def test_every_checkpoint_is_either_kept_with_a_reason_or_deleted(
    known: list[KnownCheckpoint], latest: int, best: bool, resumed: int | None
) -> None:
    found = rule(known, latest, best, resumed)
    assert sorted([*found.kept, *found.deleted]) == sorted(c.step for c in known)
    assert all(found.kept.values())
    assert list(found.deleted) == sorted(found.deleted)


@given(*settings)
def test_the_last_verified_the_pinned_the_resumed_and_anything_newer_are_never_deleted(
    known: list[KnownCheckpoint], latest: int, best: bool, resumed: int | None
) -> None:
    deleted = set(rule(known, latest, best, resumed).deleted)
    verified = [c.step for c in known if c.verified]
    newest = max(verified, default=-1)
    assert not deleted & {c.step for c in known if c.pinned}
    assert resumed not in deleted
    assert all(step < newest for step in deleted)


@given(*settings)
def test_the_best_verified_one_is_kept_when_asked_for(
    known: list[KnownCheckpoint], latest: int, best: bool, resumed: int | None
) -> None:
    scored = [(c.validation_loss, c.step) for c in known if c.verified and c.validation_loss]
    if best and scored:
        _, step = min(scored)
        assert KeepReason.BEST in rule(known, latest, best, resumed).kept[step]


@given(*settings)
def test_so_many_verified_ones_are_kept_as_asked_for_and_broken_ones_do_not_count(
    known: list[KnownCheckpoint], latest: int, best: bool, resumed: int | None
) -> None:
    kept = rule(known, latest, best, resumed).kept
    verified = sorted(c.step for c in known if c.verified)
    assert {step for step, why in kept.items() if KeepReason.LATEST in why} == set(
        verified[-latest:]
    )


@given(*settings)
def test_deleting_and_asking_again_deletes_nothing_more(
    known: list[KnownCheckpoint], latest: int, best: bool, resumed: int | None
) -> None:
    first = rule(known, latest, best, resumed)
    left = [c for c in known if c.step in first.kept]
    assert rule(left, latest, best, resumed).deleted == ()


@given(*settings)
def test_nothing_is_kept_without_one_of_the_reasons(
    known: list[KnownCheckpoint], latest: int, best: bool, resumed: int | None
) -> None:
    found = rule(known, latest, best, resumed)
    verified = [c.step for c in known if c.verified]
    not_pinned = [c for c in known if not c.pinned and c.step != resumed]
    older = [c for c in not_pinned if verified and c.step < max(verified)]
    assert sum(c.step in found.kept for c in older) <= latest - 1 + best


@given(
    st.lists(st.tuples(st.booleans(), st.integers(1, 5)), min_size=1, max_size=30),
    st.integers(1, 4),
)
def test_over_any_sequence_of_saves_the_best_and_the_latest_are_there(
    saves: list[tuple[bool, int]], latest: int
) -> None:
    known: list[KnownCheckpoint] = []
    ever: list[tuple[float, int]] = []
    for step, (verified, loss) in enumerate(saves):
        known.append(KnownCheckpoint(step=step, verified=verified, validation_loss=float(loss)))
        ever += [(float(loss), step)] if verified else []
        kept = retain(known, keep_latest=latest, keep_best=True).kept
        known = [c for c in known if c.step in kept]
        if ever:
            assert min(ever)[1] in kept
            assert max(step for _, step in ever) in kept
            assert sum(c.verified for c in known) <= latest + 1


def test_a_step_that_stands_twice_is_refused() -> None:
    twice = KnownCheckpoint(step=1, verified=True)
    with pytest.raises(ValueError, match="twice"):
        retain([twice, twice], keep_latest=1, keep_best=False)


def test_keeping_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        retain([], keep_latest=0, keep_best=False)
