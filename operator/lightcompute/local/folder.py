"""Where runs live: `runs/NAME/`, with a run's document, its status, its attempts and what the trainer writes.

Names only, and who may act: the contents are read and written by `store` and `records`.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lightcompute.local import records
from lightcompute.local.files import is_locked, read_record, try_lock
from runcontract import folder
from runcontract.faults import ConfigurationFault, Fault, StorageFault

RUNS_VARIABLE = "LIGHTCOMPUTE_RUNS_DIR"
RUN = "run.yaml"
STATUS = "status.yaml"
ATTEMPTS = "attempts"
_REQUESTS = "requests"
_CONTROLLER_LOCK = "controller.lock"
_CHANGE_LOCK = "change.lock"
_TRIES, _TRY_SECONDS = 5, 0.02
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def run_file(self) -> Path:
        """The run as it is wanted."""
        return self.path / RUN

    @property
    def status_file(self) -> Path:
        """The run as it is."""
        return self.path / STATUS

    @property
    def order_file(self) -> Path:
        """What the trainer is told."""
        return self.path / folder.ORDER

    @property
    def requests(self) -> Path:
        """What is wanted of an attempt as it runs, for its trainer to read (`runcontract.requests`)."""
        return self.path / _REQUESTS

    @property
    def change_lock(self) -> Path:
        """Held for the moment of a change to `run_file`."""
        return self.path / _CHANGE_LOCK

    @property
    def controller_lock(self) -> Path:
        """Held by the controller for as long as it acts; its text says who holds it."""
        return self.path / _CONTROLLER_LOCK

    def attempt(self, number: int) -> Path:
        """The folder of an attempt's records and logs."""
        return self.path / ATTEMPTS / str(number)

    def attempts(self) -> tuple[int, ...]:
        """The attempts that have a folder, in order."""
        try:
            names = [path.name for path in (self.path / ATTEMPTS).iterdir()]
        except FileNotFoundError:
            return ()
        return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit()))

    def exists(self) -> bool:
        """Whether there is a run here."""
        return self.run_file.is_file()

    def has_controller(self) -> bool:
        """Whether a process acts for this run now."""
        return is_locked(self.controller_lock)


@dataclass(frozen=True)
class Runs:
    """All runs below one folder."""

    root: Path

    def folder(self, name: str) -> RunFolder:
        """The folder of the run `name`, which need not exist. Raises `ConfigurationFault` for what is no name."""
        if not _NAME.fullmatch(name):
            raise ConfigurationFault(
                Fault(
                    where="name of the run",
                    found=repr(name),
                    expected="a DNS label: at most 63 of a-z, 0-9 and -, beginning and ending with none of -",
                )
            )
        return RunFolder(self.root / name)

    def existing(self, name: str) -> RunFolder:
        """The folder of the run `name`; the fault for one that does not exist says which do."""
        found = self.folder(name)
        if found.exists():
            return found
        names = ", ".join(run.name for run in self.all()[:20])
        raise ConfigurationFault(
            Fault(
                where=str(self.root),
                found=f"no run named {name}",
                expected=f"one of: {names}" if names else "a run, but there is none yet",
                action="`lightcompute list` shows them; --runs-dir looks elsewhere.",
            )
        )

    def all(self) -> tuple[RunFolder, ...]:
        """Every run, by name."""
        try:
            paths = sorted(path for path in self.root.iterdir() if _NAME.fullmatch(path.name))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        return tuple(run for path in paths if (run := RunFolder(path)).exists())


def runs_root(given: Path | None) -> Runs:
    """The folder of runs: the option, else the variable, else `./runs`."""
    return Runs((given or Path(os.environ.get(RUNS_VARIABLE) or "runs")).absolute())


@contextmanager
def controlling(run: RunFolder) -> Iterator[None]:
    """Acts for the run until the block ends; `ConfigurationFault` says who does when another process already acts."""
    lock = _lock(run)
    if lock is None:
        holder = read_record(run.controller_lock) or {}
        raise ConfigurationFault(
            Fault(
                where=str(run.path),
                found=f"another process acts for this run: process {holder.get('pid', 'unknown')} "
                f"since {holder.get('since', 'an unknown time')}",
                expected="one at a time",
                action=f"`lightcompute status {run.name}` shows it; `lightcompute stop {run.name}` stops it.",
            )
        )
    try:
        text = f'{{"pid": {os.getpid()}, "since": "{records.now().isoformat()}"}}\n'
        os.ftruncate(lock, 0)
        os.pwrite(lock, text.encode(), 0)
        yield
    finally:
        os.close(lock)


@contextmanager
def acting(run: RunFolder) -> Iterator[None]:
    """As `controlling`, for a run that may not exist yet; leaves no empty folder behind when it then does not come to be."""
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(run.path, error) from error
    with controlling(run):
        try:
            yield
        finally:
            if not run.exists():
                _remove_empty(run)


def _remove_empty(run: RunFolder) -> None:
    names = {path.name for path in run.path.iterdir()} if run.path.is_dir() else set()
    if names <= {_CONTROLLER_LOCK, _CHANGE_LOCK}:
        shutil.rmtree(run.path, ignore_errors=True)


def _lock(run: RunFolder) -> int | None:
    """The lock, tried for a moment: whoever asks whether it is held holds it just then, and others who wait for money ask every second."""
    try:
        for _ in range(_TRIES):
            lock = try_lock(run.controller_lock)
            if lock is not None:
                return lock
            time.sleep(_TRY_SECONDS)
    except OSError as error:
        raise unwritable(run.path, error) from error
    return None


def unwritable(path: Path, error: OSError) -> StorageFault:
    """The fault of a folder that cannot be written."""
    return StorageFault(
        Fault(
            where=str(path),
            found=error.strerror or str(error),
            expected="a folder that can be written",
            action="Choose another by --runs-dir or make this one writable.",
        )
    )
