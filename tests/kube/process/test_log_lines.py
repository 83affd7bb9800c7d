from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from collections.abc import Iterator

import pytest

from lightcompute.kube.log_lines import LogFormat, about, configure, default_format


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """The root logger is everybody's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    libraries = [logging.getLogger(name) for name in ("kopf", "aiohttp", "asyncio", "kubernetes")]
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    for library in libraries:
        library.setLevel(logging.NOTSET)


def lines(form: LogFormat, level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    configure(form, level, stream)
    return stream


logger = logging.getLogger("lightcompute.test")


def test_a_json_line_says_when_what_and_about_which_run() -> None:
    stream = lines(LogFormat.JSON)
    with about(uid="u1", namespace="team-a", run="baseline"), about(attempt=2):
        logger.info("%s: %d", "AttemptStarted", 2)
    line = json.loads(stream.getvalue())
    time = line.pop("time")
    assert time.endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "lightcompute.test",
        "message": "AttemptStarted: 2",
        "namespace": "team-a",
        "run": "baseline",
        "uid": "u1",
        "attempt": 2,
    }


def test_a_traceback_stays_within_the_json_line() -> None:
    stream = lines(LogFormat.JSON)
    try:
        os.environ["THERE_IS_NO_SUCH_VARIABLE"]
    except KeyError:
        logger.exception("bad")
    (text,) = stream.getvalue().splitlines()
    assert "KeyError: 'THERE_IS_NO_SUCH_VARIABLE'" in json.loads(text)["error"]


def test_a_text_line_is_a_sentence_with_the_run_before_it() -> None:
    stream = lines(LogFormat.TEXT)
    with about(namespace="team-a", run="baseline", attempt=2):
        logger.warning("It is slow.")
    with about(uid="u1"):
        logger.info("Gone.")
    logger.info("Ready.")
    said = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert said == [
        "WARNING team-a/baseline#2: It is slow.",
        "INFO    u1: Gone.",
        "INFO    Ready.",
    ]


def test_labels_belong_to_a_task_and_end_with_their_block() -> None:
    stream = lines(LogFormat.TEXT)

    async def look(run: str) -> None:
        with about(namespace="ns", run=run):
            await asyncio.sleep(0)
            logger.info("looked")
        logger.info("over")

    async def two() -> None:
        await asyncio.gather(look("a"), look("b"))

    asyncio.run(two())
    said = sorted(line.split(" ", 1)[1] for line in stream.getvalue().splitlines())
    assert said == [
        "INFO    ns/a: looked",
        "INFO    ns/b: looked",
        "INFO    over",
        "INFO    over",
    ]


def test_kopfs_lines_have_the_same_form_and_only_its_warnings_are_told() -> None:
    stream = lines(LogFormat.JSON)
    reference = {"namespace": "ns", "name": "baseline", "uid": "u1", "kind": "TrainingRun"}
    kopf = logging.getLogger("kopf.objects")
    kopf.info("Handler succeeded.", extra={"k8s_ref": reference})
    kopf.warning("Something.", extra={"k8s_ref": reference})
    line = json.loads(stream.getvalue())
    assert (line["namespace"], line["run"], line["uid"]) == ("ns", "baseline", "u1")
    assert line["message"] == "Something."


def test_debug_shows_everything() -> None:
    stream = lines(LogFormat.TEXT, "DEBUG")
    logging.getLogger("kopf.reactor").debug("detail")
    assert "detail" in stream.getvalue()


def test_machines_get_json_and_people_text() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert default_format(Terminal()) is LogFormat.TEXT
    assert default_format(io.StringIO()) is LogFormat.JSON
