"""Quantities as Kubernetes writes them (`2`, `1500m`, `8Gi`), as whole numbers rounded up."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?")
_TENS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_TWOS = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def whole(quantity: object) -> int:
    """`quantity` rounded up; 0 for what is none, as only a server that is broken would send it."""
    found = _QUANTITY.fullmatch(str(quantity).strip())
    if found is None:
        return 0
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in _TWOS:
        number *= 1024 ** _TWOS[suffix]
    elif suffix in _TENS:
        number = number.scaleb(_TENS[suffix])
    else:
        number = number.scaleb(max(-30, min(30, int(suffix[1:]))))
    return int(number.to_integral_value(ROUND_CEILING))
