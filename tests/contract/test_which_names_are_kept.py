"""Retention by names, for every folder of a trainer that follows no manifest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcontract.bounds import MAX_COUNT
from runcontract.named import (
    PATTERN_FORM,
    NamedRetention,
    matches,
    number_in,
    parts_of,
    retain_named,
)

names = st.lists(
    st.one_of(
        st.integers(0, 30).map(lambda step: f"checkpoint-{step}"),
        st.integers(0, 30).map(lambda step: f"optimizer-{step}.pt"),
        st.sampled_from(["best", "last.h5", "model.pt", "checkpoint-"]),
        st.text(max_size=12),
    ),
    max_size=16,
)


@st.composite
def folders(draw: st.DrawFn) -> tuple[list[str], NamedRetention, int, frozenset[int]]:
    found = draw(names)
    latest = draw(st.integers(1, 4))
    pins = frozenset(draw(st.sets(st.integers(0, 30), max_size=4)))
    last = draw(st.none() | st.sampled_from(found)) if found else None
    outcome = retain_named(found, keep_latest=latest, pinned=pins, written_last=last)
    return found, outcome, latest, pins


@given(folders())
def test_every_number_is_either_kept_with_a_reason_or_deleted(
    case: tuple[list[str], NamedRetention, int, frozenset[int]],
) -> None:
    found, outcome, _, _ = case
    numbers = {number for name in found if (number := number_in(name)) is not None}
    assert sorted([*outcome.kept, *outcome.deleted]) == sorted(numbers) == sorted(outcome.names)
    assert all(outcome.kept.values())
    listed = [name for of_number in outcome.names.values() for name in of_number]
    assert sorted(listed) == sorted({name for name in found if number_in(name) is not None})


@given(folders())
def test_the_newest_and_the_pinned_are_never_deleted(
    case: tuple[list[str], NamedRetention, int, frozenset[int]],
) -> None:
    _, outcome, latest, pins = case
    newest = sorted(outcome.names)[-latest:]
    assert not set(newest) & set(outcome.deleted)
    assert not pins & set(outcome.deleted)
    # What is kept beside them is one that was written last, at most.
    assert len(set(outcome.kept) - set(newest) - pins) <= 1


@given(folders())
def test_what_is_kept_is_kept_again(
    case: tuple[list[str], NamedRetention, int, frozenset[int]],
) -> None:
    _, outcome, latest, pins = case
    left = [name for number in outcome.kept for name in outcome.names[number]]
    last = [number for number, why in outcome.kept.items() if "WrittenLast" in why]
    written = outcome.names[last[0]][0] if last else None
    again = retain_named(left, keep_latest=latest, pinned=pins, written_last=written)
    assert again.deleted == ()


def test_what_was_written_last_stays_though_a_run_that_began_anew_counts_from_zero() -> None:
    found = ["ckpt-1000", "ckpt-900", "ckpt-10"]
    assert retain_named(found, keep_latest=2).deleted == (10,)
    assert retain_named(found, keep_latest=2, written_last="ckpt-10").deleted == ()


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("checkpoint-500", 500),
        ("epoch=3-step=1000.ckpt", 1000),
        ("model_00042.pt", 42),
        ("ckpt-7.h5", 7),
        ("best.h5", None),
        ("latest", None),
        ("v1.0", 0),
        ("a-٣", None),
        (f"a-{MAX_COUNT}", MAX_COUNT),
        (f"a-{MAX_COUNT + 1}", None),
        ("a-" + "9" * 300, None),
    ],
)
def test_the_number_of_a_name_is_its_last_one(name: str, number: int | None) -> None:
    assert number_in(name) == number


def test_a_pattern_leads_down_and_matches_nothing_hidden() -> None:
    assert parts_of("a/b/ckpt-*.pt") == (("a", "b"), "ckpt-*.pt")
    assert matches("ckpt-1.pt", "ckpt-*.pt")
    assert not matches("ckpt-1.PT", "ckpt-*.pt")
    assert not matches(".ckpt-1.pt.deleted-1", "*ckpt-*")


@given(st.text(alphabet="ab1./*?-[]\\\n", max_size=12))
def test_no_pattern_that_is_taken_leads_out_of_the_folder_or_matches_everything(
    pattern: str,
) -> None:
    if re.fullmatch(PATTERN_FORM, pattern) is None:
        return
    folders_, last = parts_of(pattern)
    assert all(part and not part.startswith(".") and "*" not in part for part in folders_)
    assert set(last) - set("*?")
    assert not last.startswith(".")


def test_at_least_one_is_kept() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        retain_named(["a-1"], keep_latest=0)
