"""Parts a text into training, validation and test: contiguous, in this order, counted in characters."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from runcontract.order import Data


class TextParts(NamedTuple):
    """The parts; `test` is empty when the order wants none."""

    training: str
    validation: str
    test: str


def split_text(text: str, data: Data) -> TextParts:
    """The parts of `text`. Shares are reckoned in decimals: 1 - 0.05 - 0.05 is 0.9 here, as the person who wrote it means."""
    test_share = Decimal(str(data.test_fraction))
    validation_share = Decimal(str(data.validation_fraction))
    validation_start = int(len(text) * (1 - validation_share - test_share))
    test_start = int(len(text) * (1 - test_share))
    return TextParts(
        training=text[:validation_start],
        validation=text[validation_start:test_start],
        test=text[test_start:],
    )
