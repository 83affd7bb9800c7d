"""Money goes in and out exactly, and rounds the way each function says."""

from datetime import timedelta
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lightcompute.api.money import (
    MAX_AMOUNT,
    charge,
    format_usd,
    parse_usd,
    seconds_paid_by,
    show_usd,
)

amounts = st.integers(0, MAX_AMOUNT)


@given(amounts)
def test_what_is_formatted_is_parsed_back_exactly(amount: int) -> None:
    assert parse_usd(format_usd(amount)) == amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("20.00", 20_000_000),
        ("0.000001", 1),
        ("20", 20_000_000),
        ("1000000", MAX_AMOUNT),
        ("0", 0),
        ("2.01", 2_010_000),  # not as a float: 2009999.9999999998
        ("999999.999999", 999_999_999_999),
    ],
)
def test_a_decimal_string_is_an_exact_amount(text: str, amount: int) -> None:
    assert parse_usd(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "", "-1", "+1", "1e3", "1.0000001", ".5", "5.", "$5", "5 USD", "EUR 5", "1,000", "nan", "inf",
        "1000000.000001", "99999999", "٣", "1.00\n", " 1",
    ],
)  # fmt: skip
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="US dollars"):
        parse_usd(text)


@given(amounts, st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_time_in_two_parts_costs_no_less_than_in_one(rate: int, first: int, second: int) -> None:
    one, two = timedelta(microseconds=first), timedelta(microseconds=second)
    assert charge(rate, one) + charge(rate, two) >= charge(rate, one + two)
    assert charge(rate, one) + charge(rate, two) <= charge(rate, one + two) + 1


@given(amounts, st.integers(0, 10**15))
@example(
    40_000_001, 262_360_000_001
)  # three days at 40 dollars an hour: a float loses the part that is rounded up
def test_a_charge_is_exact_where_a_float_is_not(rate: int, microseconds: int) -> None:
    exact = Fraction(rate * microseconds, 3_600_000_000)
    assert charge(rate, timedelta(microseconds=microseconds)) == ceil(exact)


@given(amounts, st.integers(1000, MAX_AMOUNT))
def test_the_seconds_that_an_amount_pays_for_cost_no_more_than_it(amount: int, rate: int) -> None:
    seconds = seconds_paid_by(amount, rate)
    assert charge(rate, timedelta(seconds=seconds)) <= amount
    assert charge(rate, timedelta(seconds=seconds + 1)) > amount


def test_a_part_of_a_micro_dollar_is_charged_as_a_whole_one() -> None:
    assert charge(1, timedelta(microseconds=1)) == 1
    assert charge(2_000_000, timedelta(seconds=90)) == 50_000


def test_a_time_that_runs_backwards_costs_nothing_and_a_debt_pays_for_nothing() -> None:
    assert charge(2_000_000, timedelta(seconds=-5)) == 0
    assert seconds_paid_by(-1, 1) == 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [(41_234, "$0.0413"), (20_000_000, "$20.00"), (1_000_001, "$1.01"), (0, "$0.00")],
)
def test_an_amount_is_shown_rounded_up(amount: int, text: str) -> None:
    assert show_usd(amount) == text
