"""Values drawn from a structural schema: right ones, those at its edges, and wrong ones."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from lightcompute.api.money import PATTERN

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

KEYS = ("zone", "example.com/disk", "nvidia.com/gpu", "cpu", "a" * 63, "a" * 64, "-", "a/b/c", "B.c/d", "x" * 129, "")  # fmt: skip
WRONG: tuple[Any, ...] = (
    -1, 0, 1, 2, 3, 7, 2**31, 2**53, -0.5, 0.5, 1.5, 1e-9, 1e300, True, False, "", "x", "A", "0", "0.00", "12.5",
    "1000000.000001", "a" * 70, "ä" * 60, "a\n", "../..", "/data", [], ["a"], ["a", "a"], [{}], {}, {"x": 1}, {"a": "b"},
)  # fmt: skip
"""Without null and without whole numbers that are written as 3.0: see tests/kube/crd/test_both_sides_agree.py."""
TIMES = ("2030-01-01T12:00:00Z", "2030-01-01T12:00:00.123456Z")
AMOUNTS = ("0", "0.00", "0.000001", "12.50", "0000012", "1000000")
AMOUNTS_TOO_LARGE = ("1000000.000001", "9999999")
_LETTERS = string.ascii_letters + string.digits + "-._/ ä\n"


def paths(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every field below `schema`, with its path by dots; of a list its first item stands for all."""
    below = dict(schema.get("properties", {}))
    if "items" in schema:
        below["0"] = schema["items"]
    for key, schema_below in below.items():
        here = f"{path}.{key}" if path else key
        yield here, schema_below
        yield from paths(schema_below, here)


def value(schema: Schema, *, slips: bool = True) -> Strategy:
    """Values that the schema takes, rules between fields left to luck; with `slips`, now and then one too many of something."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return _integers(schema)
        case "number":
            return _numbers(schema)
        case "string":
            return _texts(schema, slips=slips)
        case "array":
            [key, *_] = schema.get("x-kubernetes-list-map-keys", [None])
            told_apart = None if key is None else lambda item: item[key]
            return st.lists(value(schema["items"], slips=slips), max_size=3, unique_by=told_apart)
        case _:
            return _objects(schema, slips=slips)


def _objects(schema: Schema, *, slips: bool) -> Strategy:
    if "additionalProperties" in schema:
        values = value(schema["additionalProperties"], slips=slips)
        return st.dictionaries(st.sampled_from(KEYS), values, max_size=3)
    required = set(schema.get("required", ()))
    fields = {key: value(below, slips=slips) for key, below in schema["properties"].items()}
    return st.fixed_dictionaries(
        {key: field for key, field in fields.items() if key in required},
        optional={key: field for key, field in fields.items() if key not in required},
    )


def _integers(schema: Schema) -> Strategy:
    least, most = schema.get("minimum", -(2**31)), schema.get("maximum", 2**53)
    near = [each for each in (least, least + 1, 2, 3, 4, 6, 8, most) if least <= each <= most]
    return st.sampled_from(near) | st.integers(least, min(most, least + 1000))


def _numbers(schema: Schema) -> Strategy:
    least, most = schema.get("minimum", -1e308), schema.get("maximum", 1e308)
    shares = [each for each in (0, 0.1, 0.2, 0.25, 0.5, 1, most) if least <= each <= most]
    # A number that is whole is written without point, as people and the server do.
    drawn = st.floats(least, most, allow_subnormal=False).map(_plain)
    return st.sampled_from(shares).map(_plain) | drawn


def _plain(number: float) -> float:
    return int(number) if float(number).is_integer() and abs(number) < 2**53 else number


def _texts(schema: Schema, *, slips: bool) -> Strategy:
    if schema.get("format") == "date-time":
        return st.sampled_from(TIMES)
    if schema.get("pattern") == PATTERN:
        return st.sampled_from((*AMOUNTS, *AMOUNTS_TOO_LARGE) if slips else AMOUNTS)
    longest = schema["maxLength"]
    edges = st.sampled_from(("a" * longest, "a" * (longest + slips)))
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True) | edges
    return st.text(_LETTERS, min_size=schema.get("minLength", 0), max_size=min(longest, 20)) | edges


def largest(schema: Schema, number: int = 0) -> Any:
    """The largest value that the schema takes; `number` tells the items of a list apart."""
    match schema:
        case {"type": "array"}:
            return [largest(schema["items"], each) for each in range(_most_items(schema))]
        case {"type": "object", "additionalProperties": below}:
            return {f"key-{each}": largest(below) for each in range(schema["maxProperties"])}
        case {"type": "object"}:
            return {key: largest(below, number) for key, below in schema["properties"].items()}
        case {"type": "string"}:
            return _largest_text(schema, number)
        case {"type": "boolean"}:
            return False
        case {"type": "integer"}:
            return schema.get("maximum", 2**53) - number
        case _:
            return schema.get("maximum", 1.2345678901234567e300)


def _most_items(schema: Schema) -> int:
    """The bound of a list, or the number of words where its items are told apart by one of a closed list."""
    keys = schema.get("x-kubernetes-list-map-keys", ())
    words = [schema["items"]["properties"][key].get("enum") for key in keys]
    bounds: list[int] = [schema["maxItems"], *(len(each) for each in words if each)]
    return min(bounds)


def _largest_text(schema: Schema, number: int) -> Any:
    match schema:
        case {"enum": words}:
            return words[number % len(words)]
        case {"format": "date-time"}:
            return TIMES[1]
        case {"pattern": str(pattern)}:
            assert pattern == PATTERN, pattern
            return "999999.999999"
        case _:
            return str(number).rjust(schema["maxLength"], "ä")
