"""Values that break a rule wherever they stand, in a run or in a cluster: amounts, names, keys and values of labels, tolerations."""

from __future__ import annotations

from typing import Any, NamedTuple

from support.cases import Document


class Part(NamedTuple):
    """A wrong value, and how the server and the reader tell of it."""

    value: Any
    says: str
    reads: str


_LOOKS = "a number of US dollars in quotes with at most six decimals"
_LARGEST = "at most 1000000"
AMOUNTS = (
    Part("0", "is above 0 US dollars", "greater than 0"),
    Part("0.000000", "is above 0 US dollars", "greater than 0"),
    Part("1000000.000001", _LARGEST, _LARGEST),
    Part("9999999", _LARGEST, _LARGEST),
    Part("99999999", _LOOKS, _LOOKS),
    Part("1.0000001", _LOOKS, _LOOKS),
    Part("-1", _LOOKS, _LOOKS),
    Part("1e3", _LOOKS, _LOOKS),
    Part("$20", _LOOKS, _LOOKS),
    Part("", _LOOKS, _LOOKS),
    Part("free", _LOOKS, _LOOKS),
    Part("1000000.0000001", "may not be more than 14", _LOOKS),
    Part(20, "must be of type string", _LOOKS),
    Part(1.5, "must be of type string", _LOOKS),
)
"""Of a field that is an amount above 0."""
LABELS = (
    Part("", "at least 1 char", "at least 1 character"),
    Part("A", "should match", "should match"),
    Part("a.b", "should match", "should match"),
    Part("-a", "should match", "should match"),
    Part("a" * 64, "may not be more than 63", "at most 63 characters"),
)
"""Of a field that is a DNS label."""
_KEY = "a key matches"
LABEL_KEYS = (
    *(Part(key, _KEY, "should match") for key in ("/zone", "a/b/c", "-a", "UPPER/zone", "a" * 64)),
    Part("a" * 320 + "/zone", "a key has at most 317", "at most 317 characters"),
)
"""Keys of a map of labels."""
LABEL_VALUES = (
    Part("a b", "should match", "should match"),
    Part("-", "should match", "should match"),
    Part("a" * 64, "may not be more than 63", "at most 63 characters"),
    Part(True, "must be of type string", "valid string"),
)


class BadToleration(NamedTuple):
    """A toleration with a fault in `field`."""

    name: str
    document: Document
    field: str
    says: str
    reads: str


_NO_KEY = ("operator", "give a key, or operator Exists", "Exists, as no key is given")
_SECONDS = ("tolerationSeconds", "needs effect NoExecute", "with effect NoExecute")
TOLERATIONS = (
    BadToleration("no key", {"value": "x"}, *_NO_KEY),
    BadToleration("nothing", {}, *_NO_KEY),
    BadToleration(
        "a value of Exists",
        {"key": "gpu", "operator": "Exists", "value": "x"},
        "value",
        "leave value out",
        "nothing with operator Exists",
    ),
    BadToleration("seconds of no effect", {"key": "gpu", "tolerationSeconds": 5}, *_SECONDS),
    BadToleration(
        "seconds of NoSchedule",
        {"key": "gpu", "effect": "NoSchedule", "tolerationSeconds": 5},
        *_SECONDS,
    ),
    BadToleration("operator", {"key": "gpu", "operator": "In"}, "operator", 'Unsupported value: "In"', "'Exists' or 'Equal'"),
    BadToleration("effect", {"key": "gpu", "effect": "Evict"}, "effect", 'Unsupported value: "Evict"', "'NoExecute'"),
    BadToleration("key", {"key": "a//b"}, "key", "should match", "should match"),
    BadToleration("value", {"key": "a", "value": "a b"}, "value", "should match", "should match"),
)  # fmt: skip
