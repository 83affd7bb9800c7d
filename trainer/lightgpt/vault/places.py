"""The names of a run's objects in a bucket, below the run's prefix, and what may be read off a listing alone.

    checkpoints/step-00000100/attempt-2/model.safetensors   a file that attempt 2 wrote; no other attempt writes there
    checkpoints/step-00000100/manifest.json                 commits the checkpoint: created once, and only where there is none
    checkpoints/step-00000100/verified.json                 its files were read back, and have had these ETags since
    checkpoints/step-00000100/manifest.json.broken-1        found broken and set aside; never deleted by us
    checkpoints/step-00000100.pinned                        retention leaves that checkpoint alone
    checkpoints/attempt-00000002.lock                       attempt 2 has begun to write here; and from where its machines go on

Everything else below the prefix is a document of the run's folder under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runcontract.folder import CHECKPOINTS
from runcontract.manifest import MANIFEST, PIN_SUFFIX, checkpoint_name, step_of

if TYPE_CHECKING:
    from lightgpt.vault.objects import StoredObject

VERIFIED = "verified.json"
PREFIX = f"{CHECKPOINTS}/"
_LOCK = re.compile(r"attempt-([0-9]{8})\.lock")
_ATTEMPT = re.compile(r"attempt-([0-9]{1,7})")
_BROKEN = re.compile(rf"{re.escape(MANIFEST)}\.broken-([0-9]{{1,7}})")


def manifest_key(step: int) -> str:
    """What commits the checkpoint at `step`."""
    return f"{PREFIX}{checkpoint_name(step)}/{MANIFEST}"


def verified_key(step: int) -> str:
    """What remembers that the checkpoint at `step` was read back."""
    return f"{PREFIX}{checkpoint_name(step)}/{VERIFIED}"


def file_key(step: int, attempt: int, name: str) -> str:
    """A file of the checkpoint at `step` as `attempt` wrote it."""
    return f"{PREFIX}{checkpoint_name(step)}/attempt-{attempt}/{name}"


def pin_key(step: int) -> str:
    """What pins the checkpoint at `step`."""
    return f"{PREFIX}{checkpoint_name(step)}{PIN_SUFFIX}"


def lock_key(attempt: int) -> str:
    """What says that `attempt` has begun to write."""
    return f"{PREFIX}attempt-{attempt:08d}.lock"


@dataclass(kw_only=True)
class StepObjects:
    """The objects of one step."""

    manifest: StoredObject | None = None
    verified: StoredObject | None = None
    broken: list[StoredObject] = field(default_factory=list)
    files: dict[int, dict[str, StoredObject]] = field(default_factory=dict)
    """By the attempt that wrote them, and their names."""

    def keys(self) -> tuple[str, ...]:
        """Every key of the step, the manifest's first: whoever deletes in this order never leaves a manifest without its files."""
        single = [each.key for each in (self.manifest, self.verified, *self.broken) if each]
        return (*single, *(each.key for files in self.files.values() for each in files.values()))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that a bucket has of a run's checkpoints."""

    steps: Mapping[int, StepObjects]
    pinned: frozenset[int]
    locks: Mapping[int, StoredObject]

    def committed(self) -> tuple[int, ...]:
        """Steps that have a manifest, newest first."""
        return tuple(sorted((n for n, found in self.steps.items() if found.manifest), reverse=True))

    def quarantined(self) -> tuple[int, ...]:
        """Steps of which a manifest was set aside."""
        return tuple(sorted(step for step, found in self.steps.items() if found.broken))


def read_listing(objects: Iterable[StoredObject]) -> Listing:
    """Sorts the objects below `checkpoints/`; what has none of our names is nobody's business here."""
    steps: dict[int, StepObjects] = {}
    pinned: set[int] = set()
    locks: dict[int, StoredObject] = {}
    for each in objects:
        head, *rest = each.key.removeprefix(PREFIX).split("/")
        step = step_of(head.removesuffix(PIN_SUFFIX))
        if not rest:
            if match := _LOCK.fullmatch(head):
                locks[int(match.group(1))] = each
            elif step is not None and head.endswith(PIN_SUFFIX):
                pinned.add(step)
        elif step is not None and head == checkpoint_name(step):
            _sort(steps.setdefault(step, StepObjects()), each, rest)
    return Listing(steps=steps, pinned=frozenset(pinned), locks=locks)


def _sort(found: StepObjects, each: StoredObject, rest: list[str]) -> None:
    match rest:
        case [name] if name == MANIFEST:
            found.manifest = each
        case [name] if name == VERIFIED:
            found.verified = each
        case [name] if _BROKEN.fullmatch(name):
            found.broken.append(each)
        case [attempt, name] if match := _ATTEMPT.fullmatch(attempt):
            found.files.setdefault(int(match.group(1)), {})[name] = each
        case _:
            pass
