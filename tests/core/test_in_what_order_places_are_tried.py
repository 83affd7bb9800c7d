"""placement.preference: by the run's GPU types, by price, or by what a token is expected to cost."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from lightcompute.api.money import parse_usd
from lightcompute.api.status import Place
from lightcompute.core.facts import establish
from lightcompute.core.placement import look_for_place
from lightcompute.core.snapshot import Offer
from lightcompute.testing.builders import (
    a_place,
    a_run,
    a_snapshot,
    an_ended_attempt,
    an_offer,
)

A100, L40S, UNHEARD = a_place("A100-40GB"), a_place("L40S", cluster="fra"), a_place("B300")
OFFERS = (
    an_offer("1.30", place=A100),
    an_offer("0.80", place=L40S),
    an_offer("0.10", place=UNHEARD),
)
TYPES = {"gpuTypes": ["A100-40GB", "L40S", "B300"]}


def order(
    preference: str | None, *attempts: Any, offers: tuple[Offer, ...] = OFFERS, **training: Any
) -> list[Place]:
    wish: dict[str, Any] = (
        dict(TYPES) if preference is None else {**TYPES, "preference": preference}
    )
    text = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100, **training}
    run = a_run().with_spec(placement=wish, training=text).with_attempts(*attempts)
    found = look_for_place(establish(a_snapshot(run, offers=offers)))
    return [candidate.place for candidate in found.candidates]


@pytest.mark.parametrize(
    ("preference", "expected"),
    [
        (None, [A100, L40S, UNHEARD]),
        ("GPUOrder", [A100, L40S, UNHEARD]),
        ("LowestPrice", [UNHEARD, L40S, A100]),
    ],
)
def test_places_are_tried_in_the_order_that_is_preferred(
    preference: str | None, expected: list[Place]
) -> None:
    for offers in permutations(OFFERS):
        assert order(preference, offers=offers) == expected


def test_the_lowest_expected_cost_weighs_price_with_the_rough_speed_of_a_type() -> None:
    """An L40S has five times the FP32 of an A100, and little more in BF16; of a B300 nothing is known."""
    assert order("LowestExpectedCost", precision="FP32") == [L40S, A100, UNHEARD]
    dear = (an_offer("1.00", place=A100), an_offer("3.00", place=L40S))
    assert order("LowestExpectedCost", offers=dear, precision="FP32") == [L40S, A100]
    assert order("LowestExpectedCost", offers=dear, precision="BF16") == [A100, L40S]


def test_what_the_run_measured_itself_counts_more_than_the_rough_model() -> None:
    slow = an_ended_attempt(place=L40S, tokens_per_second=10.0)
    fast = an_ended_attempt(2, place=A100, tokens_per_second=100.0)
    assert order("LowestExpectedCost", slow, fast, precision="FP32")[0] == A100
    known = an_ended_attempt(3, place=UNHEARD, tokens_per_second=90.0)
    assert order("LowestExpectedCost", slow, fast, known, precision="FP32")[0] == UNHEARD


def test_one_measured_speed_is_carried_over_to_types_that_were_not_measured() -> None:
    """Were it not, a type that reached less than the model says would look worse than all that nobody tried."""
    fair = an_ended_attempt(place=L40S, tokens_per_second=1.0)
    assert order("LowestExpectedCost", fair, precision="FP32")[0] == L40S


def test_where_no_speed_can_be_told_price_decides() -> None:
    run = a_run().foreign().with_spec(placement={**TYPES, "preference": "LowestExpectedCost"})
    found = look_for_place(establish(a_snapshot(run, offers=OFFERS)))
    assert [candidate.place for candidate in found.candidates] == [UNHEARD, L40S, A100]


def test_what_is_free_of_charge_comes_first_and_costs_of_equal_size_are_told_apart_by_price() -> (
    None
):
    offers = (an_offer("0", place=L40S), an_offer("0", place=A100), an_offer("0.5", place=UNHEARD))
    assert order("LowestExpectedCost", offers=offers) == [A100, L40S, UNHEARD]
    assert parse_usd("0") == offers[0].rate_per_hour


def test_an_allowed_list_still_says_what_is_allowed() -> None:
    wish = {"gpuTypes": ["A100-40GB"], "preference": "LowestPrice"}
    found = look_for_place(establish(a_snapshot(a_run().with_spec(placement=wish), offers=OFFERS)))
    assert found.chosen is not None
    assert found.chosen.place == A100
