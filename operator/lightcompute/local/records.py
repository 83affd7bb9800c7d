"""What the supervisor of an attempt and the controller of a run tell each other, as files in the attempt's folder.

The controller writes the plan and the terms, the supervisor who was started and how it ended. Each is written whole, by one
writer; what is read is checked here, at the border. Standard library only: the supervisor imports it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lightcompute.local.files import read_record, write_record
from lightcompute.local.process import ProcessIdentity, identity_from

PLAN = "plan.json"
TERMS = "terms.json"
STARTED = "started.json"
EXIT = "exit.json"
LOCK = "alive.lock"
"""Held by the supervisor while it lives: proof of life that needs no process number. Touched at each heartbeat."""
HEARTBEAT_SECONDS = 30
STDOUT = "stdout.log"
STDERR = "stderr.log"
SUPERVISOR_LOG = "supervisor.log"
TERMINATION = "termination.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the supervisor is to start. Never changed."""

    run_uid: str
    attempt: int
    command: tuple[str, ...]
    variables: dict[str, str]
    folder: str


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How long the attempt may live; may be changed while it does.

    `deadline_seconds` counts from the start, None for no deadline; `grace_seconds` from SIGTERM to SIGKILL. With `stop` the
    attempt is to end now, and is not to start when it has not.
    """

    deadline_seconds: int | None = None
    grace_seconds: int = 30
    stop: bool = False


@dataclass(frozen=True, kw_only=True)
class Started:
    """Who runs: written before the trainer is started with `trainer` None, and again when it has been."""

    run_uid: str
    attempt: int
    started_time: datetime
    supervisor: ProcessIdentity
    trainer: ProcessIdentity | None


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How an attempt ended. Neither code nor signal: the supervisor vanished, and so did its trainer."""

    run_uid: str
    attempt: int
    exit_code: int | None
    signal: int | None
    started_time: datetime | None
    finished_time: datetime
    peak_memory_bytes: int | None
    stopped_because: str | None
    message: str

    @property
    def vanished(self) -> bool:
        """Whether nobody saw the end."""
        return self.exit_code is None and self.signal is None


def now() -> datetime:
    """The time of records: UTC, milliseconds."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def write_plan(folder: Path, plan: Plan) -> None:
    """Writes the plan of the attempt in `folder`."""
    write_record(folder / PLAN, asdict(plan))


def read_plan(folder: Path) -> Plan | None:
    """The plan in `folder`, or None."""
    record = _checked(folder / PLAN, Plan)
    if record is None:
        return None
    return Plan(**{**record, "command": tuple(record["command"])})


def write_terms(folder: Path, terms: Terms) -> None:
    """Writes the terms of the attempt in `folder`; a supervisor takes notice at its next heartbeat, or when woken."""
    write_record(folder / TERMS, asdict(terms))


def read_terms(folder: Path) -> Terms | None:
    """The terms in `folder`, or None."""
    record = _checked(folder / TERMS, Terms)
    return None if record is None else Terms(**record)


def write_started(folder: Path, started: Started) -> None:
    """Says who runs."""
    record = asdict(started) | {"started_time": started.started_time.isoformat()}
    write_record(folder / STARTED, record)


def read_started(folder: Path) -> Started | None:
    """Who was started in `folder`, or None."""
    record = _checked(folder / STARTED, Started)
    supervisor = identity_from(record["supervisor"]) if record else None
    if record is None or supervisor is None:
        return None
    return Started(
        run_uid=record["run_uid"],
        attempt=record["attempt"],
        started_time=datetime.fromisoformat(record["started_time"]),
        supervisor=supervisor,
        trainer=identity_from(record["trainer"]),
    )


def write_exit(folder: Path, exit_: Exit) -> None:
    """Says how the attempt ended."""
    times = {
        "started_time": exit_.started_time.isoformat() if exit_.started_time else None,
        "finished_time": exit_.finished_time.isoformat(),
    }
    write_record(folder / EXIT, asdict(exit_) | times)


def read_exit(folder: Path) -> Exit | None:
    """How the attempt in `folder` ended, or None while it has not."""
    record = _checked(folder / EXIT, Exit)
    if record is None:
        return None
    times = {
        key: datetime.fromisoformat(record[key]) if record[key] else None
        for key in ("started_time", "finished_time")
    }
    return Exit(**{**record, **times})


def _checked(path: Path, kind: type[Any]) -> dict[str, Any] | None:
    """The record, with exactly the fields of `kind`: a stranger's file counts as none."""
    record = read_record(path)
    if record is None or set(record) != {field.name for field in fields(kind)}:
        return None
    return record
