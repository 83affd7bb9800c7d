"""File systems that stop, fill up or forget at a chosen operation, to be put under a checkpoint store.

Operations are counted from 1; `at=0` never strikes, and so counts them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lightgpt.checkpoint.filesystem import FileSystem


class Killed(BaseException):
    """Stands for the end of the process: no handler of ours may catch it and tidy up."""


class CountingDisk(FileSystem):
    """Calls `strike` before operation number `at`, and before each one after it when `forever`."""

    def __init__(self, at: int = 0, *, forever: bool = False) -> None:
        self.at = at
        self.forever = forever
        self.operations: list[str] = []

    def strike(self, operation: str) -> None:
        """What happens at the chosen operation."""

    def _begin(self, operation: str) -> None:
        self.operations.append(operation)
        count = len(self.operations)
        if self.at and (count == self.at or (self.forever and count > self.at)):
            self.strike(operation)

    def make_folder(self, path: Path) -> None:
        self._begin("make_folder")
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self._begin("create")
        return super().create(path)

    def write(self, descriptor: int, data: memoryview) -> None:
        self._begin("write")
        super().write(descriptor, data)

    def sync_file(self, descriptor: int) -> None:
        self._begin("sync_file")
        super().sync_file(descriptor)

    def sync_folder(self, path: Path) -> None:
        self._begin("sync_folder")
        super().sync_folder(path)

    def rename(self, source: Path, target: Path) -> None:
        self._begin("rename")
        super().rename(source, target)

    def remove_file(self, path: Path) -> None:
        self._begin("remove_file")
        super().remove_file(path)

    def remove_folder(self, path: Path) -> None:
        self._begin("remove_folder")
        super().remove_folder(path)


class KillingDisk(CountingDisk):
    """The process ends before the chosen operation."""

    def __init__(self, at: int = 0) -> None:
        super().__init__(at, forever=True)

    def strike(self, operation: str) -> None:
        raise Killed(operation)


class FailingDisk(CountingDisk):
    """The chosen operation fails with an error of the operating system; `spared` operations go on working."""

    def __init__(
        self, at: int, *, error: int, forever: bool, spared: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(at, forever=forever)
        self._error = error
        self._spared = spared

    def strike(self, operation: str) -> None:
        if operation not in self._spared:
            raise OSError(self._error, os.strerror(self._error))


class LyingDisk(CountingDisk):
    """Says that it wrote, and keeps something else: at the first write, or at each one when `forever`."""

    def write(self, descriptor: int, data: memoryview) -> None:
        first = "write" not in self.operations
        wrong = bytes([data[0] ^ 1]) + bytes(data[1:])
        super().write(descriptor, memoryview(wrong) if first or self.forever else data)


class HookedDisk(CountingDisk):
    """Something else happens in the world before the first operation of a kind."""

    def __init__(self, operation: str, hook: Callable[[], None]) -> None:
        super().__init__()
        self._operation = operation
        self._hook: Callable[[], None] | None = hook

    def _begin(self, operation: str) -> None:
        super()._begin(operation)
        if operation == self._operation and self._hook is not None:
            hook, self._hook = self._hook, None
            hook()


class ForgetfulDisk(CountingDisk):
    """Loses power before the chosen operation, or when told: whatever was not synchronised is gone.

    Files whose content was not are cut to half, names that were not are forgotten, and a rename that was not is undone.
    """

    def __init__(self, at: int = 0) -> None:
        super().__init__(at, forever=True)
        self.is_off = False
        self._unsynced_content: dict[int, Path] = {}
        self._open: dict[int, Path] = {}
        self._unsynced_names: list[Path] = []
        self._unsynced_renames: list[tuple[Path, Path]] = []

    def strike(self, operation: str) -> None:
        if not self.is_off:
            self.lose_power()
        raise Killed(operation)

    def lose_power(self) -> None:
        """The device is as if only what was synchronised had happened."""
        self.is_off = True
        for path in self._unsynced_content.values():
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        for path in self._unsynced_names:
            path.unlink(missing_ok=True)
        for source, target in reversed(self._unsynced_renames):
            if target.exists() and not source.exists():
                target.rename(source)

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._open[descriptor] = path
        self._unsynced_names.append(path)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> None:
        super().write(descriptor, data)
        self._unsynced_content[descriptor] = self._open[descriptor]

    def sync_file(self, descriptor: int) -> None:
        super().sync_file(descriptor)
        self._unsynced_content.pop(descriptor, None)

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        # The number may be given out again; what is lost under it stays lost.
        if (path := self._unsynced_content.pop(descriptor, None)) is not None:
            self._unsynced_content[-1 - len(self.operations)] = path

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self._unsynced_names = [name for name in self._unsynced_names if name.parent != path]
        self._unsynced_renames = [
            (source, target) for source, target in self._unsynced_renames if target.parent != path
        ]

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        self._unsynced_renames.append((source, target))
        self._unsynced_names = [_moved(path, source, target) for path in self._unsynced_names]
        self._unsynced_content = {
            key: _moved(path, source, target) for key, path in self._unsynced_content.items()
        }


def _moved(path: Path, source: Path, target: Path) -> Path:
    return target / path.name if path.parent == source else path
