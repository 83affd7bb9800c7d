"""What a folder of requests may say, and what of it is understood."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runcontract.requests import (
    MAX_PINS_BYTES,
    MAX_REQUEST_BYTES,
    UnreadableRequest,
    parse_pins,
    parse_request,
    pins_text,
)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", ""),
        (b" \n", ""),
        (b"7", "7"),
        (b"  2026-01-01T00:00:00Z 4711\n", "2026-01-01T00:00:00Z 4711"),
        ("später".encode(), "später"),
        (b"x" * MAX_REQUEST_BYTES, "x" * MAX_REQUEST_BYTES),
    ],
)
def test_a_request_is_its_text_without_the_spaces_around_it(raw: bytes, text: str) -> None:
    assert parse_request(raw) == text


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"x" * (MAX_REQUEST_BYTES + 1), "more than 128 bytes"),
        (b" " * (MAX_REQUEST_BYTES + 1), "more than 128 bytes"),
        (b"\xff\xfe", "not UTF-8"),
        (b"a\nb", "not printable"),
        (b"\x1b[2J", "not printable"),
        (b"\0", "not printable"),
    ],
)
def test_what_is_no_request_is_refused_with_what_it_is(raw: bytes, says: str) -> None:
    with pytest.raises(UnreadableRequest, match=says):
        parse_request(raw)


@pytest.mark.parametrize(
    ("raw", "steps", "unreadable"),
    [
        (b"", set(), ""),
        (b"\n", set(), ""),
        (b"100", {100}, ""),
        (b" 200 , 100,,0\n", {0, 100, 200}, ""),
        (b"100,abc,200", {100, 200}, "'abc'"),
        (b"-1", set(), "'-1'"),
        (b"1.5,1e3,0x10", set(), "'1.5,1e3,0x10'"),
        ("٣".encode(), set(), "'٣'"),
        (b"9007199254740992", {2**53}, ""),
        (b"9007199254740993", set(), "'9007199254740993'"),
        (b"9" * 5000, set(), "'9999"),
        (b"1 2", set(), "'1 2'"),
        (b"7,\xff", {7}, "'"),
    ],
)
def test_pins_are_the_numbers_in_the_text_and_the_rest_is_told(
    raw: bytes, steps: set[int], unreadable: str
) -> None:
    pins = parse_pins(raw)
    assert pins.steps == steps
    assert pins.unreadable.startswith(unreadable)
    assert bool(pins.unreadable) == bool(unreadable)


def test_of_a_text_that_is_too_long_no_number_is_read_that_was_cut() -> None:
    pins = parse_pins(b"123456," * (MAX_PINS_BYTES // 7 + 1))
    assert pins.steps == {123456}
    assert pins.unreadable == f"more than {MAX_PINS_BYTES} bytes"


@given(st.sets(st.integers(0, 2**53), max_size=50))
def test_pins_that_are_written_are_read(steps: set[int]) -> None:
    assert parse_pins(pins_text(steps).encode()).steps == steps


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange(raw: bytes) -> None:
    parse_pins(raw)
    with suppress(UnreadableRequest):
        assert parse_request(raw).isprintable()
