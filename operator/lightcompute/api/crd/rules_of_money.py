"""What must hold of an amount of US dollars, in CEL: what `lightcompute.api.money` says, and told in words.

The pattern stands in the schema too. A person who wrote `$20` is not helped by a pattern, so the rule says what an amount looks like. It is
one rule that finds its words, since an API server spends time on each rule at each write.
"""

from __future__ import annotations

from lightcompute.api.crd.rule import Rule, literal
from lightcompute.api.money import PATTERN

_LOOKS = 'a number of US dollars in quotes with at most six decimals, such as "20.00"'
_LARGEST = "at most 1000000 US dollars"


def amount(field: str) -> Rule:
    """`field` is an amount, where it is given: digits with at most six decimals, and at most a million."""
    is_amount, is_bounded = _is_amount(field), _is_bounded(field)
    return Rule(
        # `double` of what is no number would be a fault of the rule.
        holds=f"!has(self.{field}) || ({is_amount} && {is_bounded})",
        message=f"{_LOOKS}, {_LARGEST}",
        finds=f"{is_amount} ? {literal(_LARGEST)} : {literal(_LOOKS)}",
        field=field,
    )


def positive_amount(field: str, *, called: str) -> Rule:
    """The same, and above 0; `called` is what messages call it."""
    is_amount, is_bounded = _is_amount(field), _is_bounded(field)
    above = f"{called} is above 0 US dollars"
    return Rule(
        holds=f"!has(self.{field}) || ({is_amount} && self.{field}.matches('[1-9]') && {is_bounded})",
        message=f"{_LOOKS}, above 0 and {_LARGEST}",
        finds=f"!{is_amount} ? {literal(_LOOKS)} : {is_bounded} ? {literal(above)} : {literal(_LARGEST)}",
        field=field,
    )


def _is_amount(field: str) -> str:
    return f"self.{field}.matches({literal(PATTERN)})"


def _is_bounded(field: str) -> str:
    return f"double(self.{field}) <= 1000000.0"
