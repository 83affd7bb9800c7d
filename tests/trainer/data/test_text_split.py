from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightgpt.data.split import split_text
from runcontract.order import Data

SHARES = st.decimals(0, "0.25", places=3)


@given(st.text(max_size=300), SHARES.filter(bool), SHARES)
def test_the_parts_follow_each_other_and_have_their_shares(
    text: str, validation: float, test: float
) -> None:
    data = Data(files=("a",), validation_fraction=float(validation), test_fraction=float(test))
    parts = split_text(text, data)
    assert "".join(parts) == text
    for part, share in ((parts.validation, validation), (parts.test, test)):
        assert abs(len(part) - Fraction(share) * len(text)) < 1


@pytest.mark.parametrize(
    ("validation", "test", "lengths"),
    [(0.05, 0.05, (900, 50, 50)), (0.1, 0.0, (900, 100, 0)), (0.3, 0.1, (600, 300, 100))],
)
def test_decimal_shares_are_exact_where_binary_fractions_are_not(
    validation: float, test: float, lengths: tuple[int, int, int]
) -> None:
    data = Data(files=("a",), validation_fraction=validation, test_fraction=test)
    assert tuple(map(len, split_text("x" * 1000, data))) == lengths


def test_tinyshakespeare_splits_where_its_readers_expect_it() -> None:
    data = Data(dataset="tinyshakespeare", validation_fraction=0.1, test_fraction=0)
    parts = split_text("x" * 1_115_394, data)
    assert (len(parts.training), len(parts.validation)) == (1_003_854, 111_540)
