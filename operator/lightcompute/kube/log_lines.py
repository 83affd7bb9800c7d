"""Log lines: one JSON object a line for machines, one sentence a line for people, each saying which run it is about.

Which run that is stands in a context variable, so that lines of any library are labelled too. Whoever logs passes no run around.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

_about: ContextVar[Mapping[str, str | int]] = ContextVar("about", default={})  # noqa: B039 - a Mapping: nobody changes it

LABELS = ("namespace", "run", "uid", "attempt", "cluster")
"""What a line may be labelled with, in the order in which people read it."""


class LogFormat(StrEnum):
    """The forms of a line."""

    TEXT = "text"
    JSON = "json"


@contextmanager
def about(**labels: str | int) -> Iterator[None]:
    """Lines that are logged inside are labelled so, whoever logs them. The keys are those of LABELS."""
    token = _about.set({**_about.get(), **labels})
    try:
        yield
    finally:
        _about.reset(token)


def configure(form: LogFormat, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends everything that is logged in this process to `stream` (standard error) in one form."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if form is LogFormat.JSON else TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)
    if root.level > logging.DEBUG:
        # What they say at INFO is about themselves: a line a request, a line a start.
        # That it runs in a thread, where no signal reaches it, is meant.
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        for name in ("kopf", "aiohttp", "asyncio", "kubernetes"):
            logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def default_format(stream: TextIO | None = None) -> LogFormat:
    """Text where a person watches, JSON where a machine collects."""
    return LogFormat.TEXT if (stream or sys.stderr).isatty() else LogFormat.JSON


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the labels, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_labels(record),
        }
        if trace := _trace(self, record):
            line["error"] = trace
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """`TIME LEVEL namespace/run#attempt: message`, and a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        labels = _labels(record)
        run = "/".join(str(labels[key]) for key in ("namespace", "run") if key in labels)
        run = run or str(labels.get("uid", ""))
        attempt = f"#{labels['attempt']}" if "attempt" in labels else ""
        who = f"{run}{attempt}: " if run else ""
        text = f"{_time(record)} {record.levelname:<7} {who}{record.getMessage()}"
        trace = _trace(self, record)
        return f"{text}\n{trace}" if trace else text


def _time(record: logging.LogRecord) -> str:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return time.replace("+00:00", "Z")


def _labels(record: logging.LogRecord) -> dict[str, str | int]:
    known: Mapping[str, Any] = _about.get() or _from_kopf(record)
    return {key: known[key] for key in LABELS if known.get(key) not in (None, "")}


def _from_kopf(record: logging.LogRecord) -> Mapping[str, Any]:
    """What kopf says of the object that a line of its own is about."""
    reference = getattr(record, "k8s_ref", None) or {}
    return {
        "namespace": reference.get("namespace"),
        "run": reference.get("name"),
        "uid": reference.get("uid"),
    }


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
