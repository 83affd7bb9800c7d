"""Money: whole micro-dollars inside, decimal strings in documents, never a float.

Every function says which way it rounds. What we charge rounds up and what an amount pays for rounds down, so that a sum of
roundings never spends more than was allowed.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema

MicroUSD = int
"""A millionth of a US dollar; an amount, or with `rate` in its name an amount for each hour."""

MICRO_PER_USD = 1_000_000
MAX_AMOUNT: MicroUSD = 1_000_000 * MICRO_PER_USD
"""No run, rate or sum in a document is above a million dollars."""
PATTERN = r"^[0-9]{1,7}(\.[0-9]{1,6})?$"

_HOUR_MICROSECONDS = 3_600_000_000
_MICROSECOND = timedelta(microseconds=1)


def parse_usd(text: str) -> MicroUSD:
    """The amount in `text`, such as "20.00"; exact.

    Raises ValueError for anything but digits with at most six decimals, and for more than a million dollars.
    """
    if not re.fullmatch(PATTERN, text):
        raise ValueError(
            'a number of US dollars in quotes with at most six decimals, such as "20.00"'
        )
    dollars, _, decimals = text.partition(".")
    amount = int(dollars) * MICRO_PER_USD + int(decimals.ljust(6, "0"))
    if amount > MAX_AMOUNT:
        raise ValueError(f"at most {format_usd(MAX_AMOUNT)} US dollars")
    return amount


def format_usd(amount: MicroUSD) -> str:
    """`amount` as a decimal string with two to six decimals; exact, so `parse_usd` gives it back."""
    dollars, micro = divmod(abs(amount), MICRO_PER_USD)
    decimals = f"{micro:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{dollars}.{decimals}"


def show_usd(amount: MicroUSD) -> str:
    """`amount` for people, as in "$0.0412": four decimals below a dollar, else two; rounded up."""
    unit = 100 if abs(amount) < MICRO_PER_USD else 10_000
    return f"${format_usd(-(-amount // unit) * unit)}"


def charge(rate_per_hour: MicroUSD, held: timedelta) -> MicroUSD:
    """What `held` costs at `rate_per_hour`, rounded up to a micro-dollar; nothing for a time that is not positive."""
    return max(0, -(-rate_per_hour * (held // _MICROSECOND) // _HOUR_MICROSECONDS))


def seconds_paid_by(amount: MicroUSD, rate_per_hour: MicroUSD) -> int:
    """Whole seconds that `amount` pays for at a positive `rate_per_hour`, rounded down; 0 for a debt."""
    return max(0, amount * 3600 // rate_per_hour)


def _from_document(value: Any, info: ValidationInfo) -> Any:
    """A document holds text; Python code holds micro-dollars. A bare number in a document could be either: refused."""
    if isinstance(value, str):
        return parse_usd(value)
    if info.mode == "json" or isinstance(value, bool | float):
        raise ValueError(
            'a number of US dollars in quotes with at most six decimals, such as "20.00"'
        )
    return value


USD = Annotated[
    int,
    BeforeValidator(_from_document),
    Field(ge=0, le=MAX_AMOUNT),
    PlainSerializer(format_usd, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "maxLength": 14}),
]
"""A field of a document that holds money: `MicroUSD` in Python, a decimal string in YAML and JSON."""
