"""How much of a log is read, and what becomes of it; the reading itself is tested on a server."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.core.progress import Progress
from lightcompute.kube.logs import (
    FIRST_LINES,
    LAST_READ_TRIES,
    PIECE_BYTES,
    Reading,
    _advanced,
    _folded,
    _query,
)
from lightcompute.testing.builders import at
from runcontract.progress import Stepped, Warned, report_line
from support.kube_builders import a_pod

POD = a_pod().scheduled().running().kept()
FRESH = Reading(pod=POD, progress=Progress(attempt=1))
WHOLE = 100
"""Bytes of a piece that is not full."""


def stepped(step: int, *, attempt: int = 1) -> str:
    return report_line(
        Stepped(
            time=at(step),
            attempt=attempt,
            step=step,
            max_steps=100,
            epoch=0.5,
            tokens=step,
            training_loss=2.5,
            learning_rate=1e-3,
            gradient_norm=1.0,
            tokens_per_second=1000.0,
        )
    )


def warned(message: str) -> str:
    return report_line(Warned(time=at(1), attempt=1, step=1, reason="Any", message=message))


def line(seconds: float, text: str) -> bytes:
    """A line as a server sends it."""
    time = at(seconds).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{time} {text}\n".encode()


def folded(*lines: bytes, reading: Reading = FRESH) -> Reading:
    return asyncio.run(_folded(reading, b"".join(lines)))


def advanced(reading: Reading, size_bytes: int, *, ended: bool = False) -> Reading:
    return _advanced(reading, reading, ended=ended, size_bytes=size_bytes, now=at(1000))


def asked(reading: Reading) -> dict[str, Any]:
    return dict(_query(reading))


# What is in a piece.


def test_reports_are_folded_into_the_newest_of_each_kind() -> None:
    found = folded(line(1, stepped(1)), line(2, "a line for people"), line(3, stepped(2)))
    assert found.progress.step == 2
    assert found.line_time == "2030-01-01T12:00:03"


def test_lines_of_one_time_are_all_read() -> None:
    found = folded(line(1, warned("first")), line(1, stepped(7)), line(1, stepped(8)))
    assert found.progress.step == 8
    assert found.progress.warned is not None


def test_what_was_read_before_is_passed_over() -> None:
    before = folded(line(1, stepped(1)), line(2.5, stepped(2)))
    again = folded(line(1, stepped(1)), line(2.5, stepped(99)), reading=before)
    assert again == before
    more = folded(line(2.5, stepped(99)), line(2.75, stepped(3)), reading=before)
    assert more.progress.step == 3


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("12:00:00Z", "12:00:00.000000001Z"),
        ("12:00:00.1Z", "12:00:00.11Z"),
        ("12:00:00.09Z", "12:00:00.1Z"),
        ("12:00:00.999999999Z", "12:00:01Z"),
        ("13:00:00+02:00", "12:00:00Z"),
        ("23:59:59-00:30", "23:59:59.5-00:30"),
    ],
)
def test_times_are_compared_whatever_their_fractions_and_zones(earlier: str, later: str) -> None:
    lines = {text: f"2030-01-01T{text} {stepped(5)}\n".encode() for text in (earlier, later)}
    first, last = folded(lines[earlier]), folded(lines[later])
    assert first.line_time < last.line_time
    assert folded(lines[later], reading=first).line_time == last.line_time
    assert folded(lines[earlier], reading=last) == last


@pytest.mark.parametrize("zero", ["12:00:00Z", "12:00:00.000Z", "14:00:00.0+02:00"])
def test_one_time_written_otherwise_is_the_same(zero: str) -> None:
    assert folded(f"2030-01-01T{zero} x\n".encode()).line_time == "2030-01-01T12:00:00"


def test_a_line_that_is_not_written_to_its_end_is_read_the_next_time() -> None:
    whole = line(2, stepped(2))
    found = folded(line(1, stepped(1)), whole[:-1])
    assert found.progress.step == 1
    assert folded(whole, reading=found).progress.step == 2


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\n\n\n",
        b" \n",
        b"no time at all\n",
        b"2030-01-01T12:00:00\n",
        b"2030-99-99T12:00:00Z x\n",
        b"2030-01-01T12Z {}\n",
        b"0001-01-01T00:00:00+12:00 x\n",
        b"9999-12-31T23:59:59-12:00 x\n",
        b"\xff\xfe\x00 \x00\n",
        "２０３０-01-01T12:00:00Z x\n".encode(),
        b"x" * 100_000 + b"\n",
    ],
)
def test_junk_is_no_report_and_no_time(junk: bytes) -> None:
    assert folded(junk) == FRESH
    assert folded(junk, line(1, stepped(4)), junk).progress.step == 4


@pytest.mark.parametrize(
    "text",
    [
        stepped(3, attempt=2),
        stepped(3).replace("2.5", "NaN"),
        stepped(3).replace("2.5", "-2.5"),
        stepped(3).replace("2.5", "1e400"),
        stepped(3).replace('"step":3', '"step":-3'),
        stepped(3).replace("{", "{" * 5000),
        stepped(3)[:-1],
        "[" + stepped(3) + "]",
        warned("x").replace('"Any"', '"not a word"'),
        '{"event": "step"}',
        "{" + " " * 20_000 + "}",
    ],
)
def test_a_line_that_is_no_report_of_this_attempt_changes_nothing_but_the_place(text: str) -> None:
    found = folded(line(1, stepped(2)), line(2, text))
    assert found.progress == folded(line(1, stepped(2))).progress
    assert found.line_time == "2030-01-01T12:00:02"


@given(raw=st.binary(max_size=200))
def test_any_bytes_may_stand_in_a_log(raw: bytes) -> None:
    found = folded(line(1, stepped(2)), raw, b"\n", line(3, stepped(3)))
    asked(found)
    assert found.progress.stepped is not None


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(0, 20))
def test_a_log_read_in_pieces_comes_to_the_same_as_in_one(steps: list[int], cut: int) -> None:
    lines = [line(number, stepped(step)) for number, step in enumerate(steps, start=1)]
    once = folded(*lines)
    # A second piece begins with some of what the first one had.
    twice = folded(*lines[max(0, cut - 3) :], reading=folded(*lines[:cut]))
    assert twice == once


# What is asked for.


def test_a_log_that_nobody_read_yet_is_read_from_its_last_lines() -> None:
    found = asked(FRESH)
    assert found["tailLines"] == FIRST_LINES
    assert found["limitBytes"] == PIECE_BYTES
    assert found["container"] == "trainer"
    assert "sinceTime" not in found


def test_a_log_is_gone_on_with_from_the_second_before() -> None:
    found = asked(folded(line(61.25, stepped(1))))
    assert found["sinceTime"] == "2030-01-01T12:01:00Z"
    assert "tailLines" not in found


def test_a_piece_that_is_not_full_was_read_up_to_when_it_was_asked_for() -> None:
    found = advanced(folded(line(1, stepped(1))), WHOLE)
    assert found.until == at(1000)
    assert not found.done


def test_a_log_that_is_written_faster_than_it_is_read_is_gone_on_with_at_its_end() -> None:
    reading = folded(line(1, stepped(1)))
    tails = []
    for _ in range(6):
        reading = advanced(reading, PIECE_BYTES)
        assert reading.until is None  # what was not read cannot be called silent
        tails.append(asked(reading)["tailLines"])
    assert tails == [200, 20, 2, 1, 1, 1]
    caught_up = advanced(reading, WHOLE)
    assert "sinceTime" in asked(caught_up)
    assert caught_up.until == at(1000)


def test_what_was_read_is_passed_over_in_the_last_lines_too() -> None:
    """Else a report of long ago would take the place of a newer one."""
    reading = advanced(folded(line(5, stepped(50))), PIECE_BYTES)
    assert folded(line(3, stepped(3)), line(4, stepped(4)), reading=reading).progress.step == 50


def test_an_ended_log_is_done_when_it_was_read_to_its_end() -> None:
    assert advanced(FRESH, WHOLE, ended=True).done
    assert not advanced(FRESH, PIECE_BYTES, ended=True).done


def test_the_reading_of_an_ended_log_ends() -> None:
    reading = FRESH
    for _ in range(LAST_READ_TRIES):
        assert reading.tries < LAST_READ_TRIES
        reading = advanced(reading, PIECE_BYTES, ended=True)
    assert reading.tries == LAST_READ_TRIES
    assert asked(reading)["tailLines"] <= FIRST_LINES // 100


def test_a_running_log_uses_up_no_tries() -> None:
    assert advanced(replace(FRESH, tries=2), PIECE_BYTES).tries == 0
    assert advanced(replace(FRESH, tries=2), WHOLE).tries == 0


def test_the_pod_is_kept_as_it_is_known_by_now() -> None:
    over = a_pod().scheduled().over(0).kept()
    known = replace(FRESH, pod=over)
    found = _advanced(known, FRESH, ended=False, size_bytes=WHOLE, now=datetime.now(UTC))
    assert found.pod is over
    assert not found.done


def test_a_reader_that_is_overtaken_takes_nothing_back() -> None:
    further = folded(line(1, stepped(1)), line(2, stepped(2)))
    behind = folded(line(1, stepped(1)))
    done = advanced(further, WHOLE, ended=True)
    for known in (further, done):
        found = _advanced(known, behind, ended=False, size_bytes=WHOLE, now=at(2000))
        assert found == known
