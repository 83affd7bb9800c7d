"""What a person may write as YAML, and what they are told when it is not that."""

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from runcontract.base import ContractModel
from runcontract.document import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    dump_document,
    parse_document,
    parse_model,
    read_document,
)
from runcontract.faults import ConfigurationFault


def refused(text: str) -> str:
    with pytest.raises(ConfigurationFault) as caught:
        parse_document(text, where="file.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("3e-4", 3e-4), ("1E5", 1e5), ("-2.5e+3", -2500.0), (".5e1", 5.0), ("1.", 1.0), ("7", 7), ("1e", "1e"),
        ("e4", "e4"), ("true", True), ("null", None), ("2026-11-22", "2026-11-22"), ("'3e-4'", "3e-4"), ("0x10", 16),
    ],
)  # fmt: skip
def test_a_scalar_means_what_kubernetes_takes_it_for(written: str, meant: object) -> None:
    value = parse_document(f"a: {written}", where="x")["a"]
    assert value == meant
    assert type(value) is type(meant)


def test_an_alias_is_refused_with_its_line() -> None:
    assert "file.yaml:2: found aliases (*name) are not allowed" in refused("a: &x 1\nb: *x\n")


def test_a_billion_laughs_are_refused_at_once() -> None:
    bomb = "a0: &a0 [lol, lol]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 40)
    )
    began_s = time.monotonic()
    assert "aliases" in refused(bomb)
    assert time.monotonic() - began_s < 5


def test_a_key_that_stands_twice_is_refused_with_its_line() -> None:
    assert "file.yaml:3: found the key 'a' stands twice" in refused("a: 1\nb: 2\na: 3\n")
    assert "'x' stands twice" in refused("a: {x: 1, x: 2}")


@pytest.mark.parametrize("key", ["1", "true", "null", "1.5", "[a]", "{a: b}"])
def test_a_key_that_is_no_text_is_refused(key: str) -> None:
    assert "file.yaml:1" in refused(f"? {key}\n: value\n")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth_is_bounded(opening: str) -> None:
    assert "deeper than" in refused("a: " * (opening != "- ") + opening * 10_000)


def test_the_allowed_depth_is_allowed() -> None:
    levels = MAX_DEPTH - 2
    text = "a: " + "[" * levels + "1" + "]" * levels
    assert parse_document(text, where="x")["a"]
    assert "deeper than" in refused(text.replace("1", "[1]"))


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!!binary aGk=", "!!set {a}",
        "!!timestamp 2026-11-22", "!!omap [a: 1]", "!local x",
    ],
)  # fmt: skip
def test_a_tag_that_json_has_no_type_for_is_refused(value: str) -> None:
    assert "file.yaml:1" in refused(f"a: {value}")


@pytest.mark.parametrize("text", ["", "# nothing", "- a\n- b", "text", "7", "null"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    assert "a mapping of keys to values" in refused(text)


@pytest.mark.parametrize(
    "text", ["a: [1", "a: b: c", "a: 1\n---\nb: 2", "a: '", "\ta: 1", "a: \x00", "a: @x", "a: 1\n b: 2"]
)  # fmt: skip
def test_a_syntax_error_is_one_fault_that_names_the_file(text: str) -> None:
    assert refused(text).startswith("file.yaml")


class Several(ContractModel):
    """A list that may not be empty."""

    numbers: tuple[int, ...] = Field(min_length=2)


@pytest.mark.parametrize(
    ("numbers", "where"),
    [([], ["numbers"]), ([1], ["numbers"]), (["x"], ["numbers[0]", "numbers"]), (["x", "y"], ["numbers[0]", "numbers[1]"])],
)  # fmt: skip
def test_a_list_is_called_too_short_for_its_length_and_not_for_faults_in_its_items(
    numbers: list[object], where: list[str]
) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        parse_model(Several, {"numbers": numbers})
    assert [fault.where for fault in caught.value.faults] == where


@pytest.mark.parametrize(
    "value", ["9" * 10_000, "!!bool maybe", "!!int ''", "!!int x", "!!float x"]
)
def test_a_value_that_yaml_stumbles_over_is_refused_like_any_other_fault(value: str) -> None:
    assert refused(f"a: {value}").startswith("file.yaml")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(
        ConfigurationFault, match=f"{MAX_DOCUMENT_BYTES + 1} bytes; expected at most"
    ):
        read_document(path)


@pytest.mark.parametrize(
    ("content", "told"), [(None, "No such file"), (b"a: \xff\n", "byte 3 is not UTF-8")]
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None, told: str
) -> None:
    path = tmp_path / "order.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationFault, match=told) as caught:
        read_document(path)
    assert caught.value.faults[0].where == str(path)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(), below, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_what_is_written_is_read_again(document: dict[str, object]) -> None:
    assert parse_document(dump_document(document), where="x") == document


@pytest.mark.parametrize(
    "text", ["1e3", "0E0", "-.5e+7", "12e5", "1.5", "true", "null", "2030-01-01"]
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    assert parse_document(dump_document({"name": text}), where="x") == {"name": text}


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_one_fault(text: str) -> None:
    with contextlib.suppress(ConfigurationFault):
        assert isinstance(parse_document(text, where="x"), dict)
