"""What a carried program says: every byte is passed on, reports wait where they must, and no two writers tear a line."""

from __future__ import annotations

import io
import os
import time

from lightgpt.carry.listening import Listener
from lightgpt.carry.voice import Voice
from lightgpt.checkpoint.faults import CheckpointWarning
from runcontract.losses import Loss
from runcontract.progress import MAX_LINE_BYTES, Finished, Saved, parse_report

TIME = '"time":"2026-01-01T00:00:00Z","attempt":1,"step":5'
SAVED = f'{{"event":"checkpoint",{TIME},"name":"step-00000005","sizeBytes":1,"digest":"0","saveSeconds":1}}'
FINISHED = f'{{"event":"finished",{TIME},"exitCode":0,"reason":"MaxStepsReached","message":""}}'
EVALUATED = (
    f'{{"event":"evaluation",{TIME},"validation":{{"natsPerToken":1,"natsPerCharacter":1,"bitsPerByte":1}},'
    '"best":true,"trainingLoss":1}'
)


def heard(raw: bytes) -> tuple[bytes, Listener, list[Saved], list[tuple[int, Loss]]]:
    """What is passed on, and what was heard."""
    out = io.BytesIO()
    saves: list[Saved] = []
    losses: list[tuple[int, Loss]] = []
    listener = Listener(
        io.BytesIO(raw),
        Voice(1, out),
        saved=saves.append,
        evaluated=lambda step, loss: losses.append((step, loss)),
    )
    listener.finish(seconds=30)
    return out.getvalue(), listener, saves, losses


def test_what_is_no_report_is_passed_on_byte_by_byte() -> None:
    raw = b"text\r\n\xff\xfe{\n\n" + b"x" * 100_000 + b"\nlast without an end"
    assert heard(raw)[0] == raw


def test_reports_that_wait_are_held_and_the_others_are_passed_on() -> None:
    raw = f"{SAVED}\n{EVALUATED}\n{FINISHED}\nafter\n".encode()
    out, listener, saves, losses = heard(raw)
    assert out == f"{EVALUATED}\nafter\n".encode()
    assert [each.name for each in saves] == ["step-00000005"]
    assert [type(each) for each in listener.last_words] == [Finished]
    assert [step for step, _ in losses] == [5]


def test_the_end_of_a_line_that_is_too_long_is_no_report() -> None:
    raw = b"x" * (MAX_LINE_BYTES + 2) + SAVED.encode() + b"\n"
    out, _, saves, _ = heard(raw)
    assert out == raw
    assert saves == []


def test_a_report_between_two_pieces_of_a_line_stands_on_a_line_of_its_own() -> None:
    out = io.BytesIO()
    voice = Voice(1, out)
    voice.pass_on(b"half")
    voice.warn(CheckpointWarning(reason="CheckpointFailed", message="x"))
    voice.pass_on(b"the rest\n")
    lines = out.getvalue().splitlines()
    assert lines[0] == b"half"
    assert parse_report(lines[1]) is not None
    assert lines[2] == b"the rest"


def test_a_reader_that_has_gone_costs_the_lines_and_nothing_else() -> None:
    out = io.BytesIO()
    out.close()
    Voice(1, out).pass_on(b"line\n")


def test_what_is_still_to_be_done_about_what_was_said_is_waited_for_and_silence_is_not() -> None:
    reading, writing = os.pipe()
    os.write(writing, f"{SAVED}\n{FINISHED}\n".encode())
    with os.fdopen(reading, "rb", buffering=0) as stream:
        listener = Listener(
            stream, Voice(1, io.BytesIO()), saved=lambda _: time.sleep(1), evaluated=lambda *_: None
        )
        listener.finish(seconds=0.2)
        assert [type(each) for each in listener.last_words] == [Finished]
        os.close(writing)
        listener.finish(seconds=30)
