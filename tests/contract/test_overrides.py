"""`--set a.b=c` on the command line."""

import pytest

from runcontract.faults import ConfigurationFault
from runcontract.overrides import with_overrides


@pytest.mark.parametrize(
    ("assignment", "value"),
    [("a.b=7", 7), ("a.b=3e-4", 3e-4), ("a.b=text", "text"), ("a.b=[1, x]", [1, "x"]), ("a.b='7'", "7"), ("a.b=x=y", "x=y"), ("a.b=true", True)],
)  # fmt: skip
def test_a_value_is_read_as_yaml(assignment: str, value: object) -> None:
    assert with_overrides({"a": {"b": 1, "c": 2}}, [assignment]) == {"a": {"b": value, "c": 2}}


def test_missing_mappings_on_the_way_are_made() -> None:
    assert with_overrides({}, ["a.b.c=1"]) == {"a": {"b": {"c": 1}}}


def test_null_removes_the_key() -> None:
    assert with_overrides({"a": {"b": 1, "c": 2}}, ["a.b=null"]) == {"a": {"c": 2}}


def test_later_assignments_win_and_the_given_document_stays_as_it_was() -> None:
    given = {"a": {"b": 1}}
    assert with_overrides(given, ["a.b=2", "a.b=3"]) == {"a": {"b": 3}}
    assert given == {"a": {"b": 1}}


@pytest.mark.parametrize("assignment", ["a.b", "=1", "a..b=1", ".a=1", "a.=1", ""])
def test_what_is_no_assignment_is_refused_and_shown(assignment: str) -> None:
    with pytest.raises(ConfigurationFault, match=r"expected path\.to\.key=value"):
        with_overrides({}, [assignment])


def test_a_path_through_a_value_is_refused() -> None:
    with pytest.raises(ConfigurationFault, match="found b = 1; expected b to be a mapping"):
        with_overrides({"a": {"b": 1}}, ["a.b.c=2"])


@pytest.mark.parametrize("value", ["*x", "!!python/name:os", "[", "{a: 1, a: 2}"])
def test_a_value_is_as_narrow_as_a_document(value: str) -> None:
    with pytest.raises(ConfigurationFault, match="--set a="):
        with_overrides({}, [f"a={value}"])
