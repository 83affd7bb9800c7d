"""Lines of a pod's log, each once, however the stream is cut and wherever it is taken up again. No cluster is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.kube.remote_logs import LONGEST_LINE_BYTES, Known, Moment, parted, whole_lines


def collected(pieces: list[bytes]) -> list[bytes]:
    async def given_pieces() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def all_lines() -> list[bytes]:
        return [line async for line in whole_lines(given_pieces())]

    return asyncio.run(all_lines())


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line)), st.integers(1, 7))
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], size: int) -> None:
    text = b"".join(line + b"\n" for line in lines)
    pieces = [text[begin : begin + size] for begin in range(0, len(text), size)]
    assert collected(pieces) == lines


def test_a_line_without_an_end_comes_in_parts_of_bearable_size() -> None:
    piece = b"x" * (LONGEST_LINE_BYTES // 2 + 1)
    parts = collected([piece] * 5)
    assert b"".join(parts) == piece * 5
    assert max(len(part) for part in parts) < 2 * LONGEST_LINE_BYTES


@pytest.mark.parametrize(
    ("line", "moment", "words"),
    [
        (b"2030-01-01T12:00:00.5Z hello", (b"2030-01-01T12:00:00", b"500000000", b"Z"), b"hello"),
        (b"2030-01-01T12:00:00+02:00 ", (b"2030-01-01T12:00:00", b"000000000", b"+02:00"), b""),
        (b"no time at all", None, b"no time at all"),
        (b"", None, b""),
    ],
)
def test_the_time_before_a_line_is_no_part_of_it(
    line: bytes, moment: tuple[bytes, bytes, bytes] | None, words: bytes
) -> None:
    assert parted(line) == (moment and Moment(*moment), words)


@given(st.lists(st.integers(0, 3), max_size=12).map(sorted), st.data())
def test_a_stream_that_is_taken_up_again_gives_each_line_once(
    times: list[int], data: st.DataObject
) -> None:
    """The second stream begins at any line that is not after the last one's moment, as a server's whole seconds allow."""
    broke_after = data.draw(st.integers(0, len(times)))
    written = times[:broke_after]
    until = at(written[-1]) if written else None
    known = Known(until, written.count(written[-1]) if written else 0)
    begin = data.draw(
        st.sampled_from(
            [
                i
                for i in range(len(times) + 1)
                if i == 0 or not written or times[i - 1] < written[-1]
            ]
        )
    )
    again = [time for time in times[begin:] if not known.has(at(time))]
    assert written + again == (times if written else times[begin:])


def at(second: int) -> Moment:
    return Moment(b"2030-01-01T12:00:%02d" % second, b"0" * 9, b"Z")


def test_what_has_no_time_goes_with_the_line_before_it() -> None:
    known = Known(at(1), 1)
    assert [known.has(each) for each in (at(0), None, at(1), None, at(1), None, at(2))] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
