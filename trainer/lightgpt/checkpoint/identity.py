"""Which run a checkpoint belongs to, and in what it differs from another: pure comparison, no files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from runcontract.faults import Fault, shortened
from runcontract.manifest import Manifest
from runcontract.order import FREE_TO_CHANGE

_ACTION = "Undo the change, or train into another output folder."


@dataclass(frozen=True, kw_only=True)
class CheckpointIdentity:
    """What is the same in every checkpoint of one attempt.

    `training` is the resolved `training` document, kept so that a difference can be told by its field.
    """

    run_uid: str
    attempt: int
    configuration_hash: str
    tokenizer_sha256: str
    data_sha256: str
    model: Mapping[str, Any]
    parameters: int
    training: Mapping[str, Any] = field(default_factory=dict)
    world_size: int = 1

    @classmethod
    def of_writer(cls, *, run_uid: str, attempt: int) -> Self:
        """Whose right to write is meant and nothing else: for whoever makes no checkpoints but keeps them."""
        return cls(
            run_uid=run_uid,
            attempt=attempt,
            configuration_hash="",
            tokenizer_sha256="",
            data_sha256="",
            model={},
            parameters=0,
        )


def differences(manifest: Manifest, identity: CheckpointIdentity) -> tuple[Fault, ...]:
    """Why a training of `identity` cannot go on from the checkpoint of `manifest`; empty when it can."""
    faults = list(training_differences(manifest, identity.training, identity.configuration_hash))
    if manifest.tokenizer_sha256 != identity.tokenizer_sha256:
        faults.append(_fault("tokenizer", manifest.tokenizer_sha256, identity.tokenizer_sha256))
    if manifest.data_sha256 != identity.data_sha256:
        faults.append(_fault("data", manifest.data_sha256, identity.data_sha256))
    return tuple(faults)


def training_differences(
    manifest: Manifest, training: Mapping[str, Any], configuration_hash: str
) -> tuple[Fault, ...]:
    """The fields in which the checkpoint's training differs from another `training` document of that hash."""
    if manifest.configuration_hash == configuration_hash:
        return ()
    return tuple(_fields(manifest.training, training)) or (
        _fault("training", manifest.configuration_hash, configuration_hash),
    )


def _fault(what: str, found: str, expected: str) -> Fault:
    return Fault(
        where=what,
        found=f"another {what} in the checkpoint (hash {found[:12]})",
        expected=f"the {what} of the order (hash {expected[:12]})",
        action=_ACTION,
    )


def _fields(saved: Mapping[str, Any], ordered: Mapping[str, Any]) -> Iterator[Fault]:
    was = dict(_leaves({k: v for k, v in saved.items() if k not in FREE_TO_CHANGE}))
    now = dict(_leaves({k: v for k, v in ordered.items() if k not in FREE_TO_CHANGE}))
    for path in sorted(was.keys() | now.keys()):
        if was.get(path) != now.get(path):
            yield Fault(
                where=f"training.{path}",
                found=f"{_text(was, path)} in the checkpoint",
                expected=f"{_text(now, path)} as in the order",
                action=_ACTION,
            )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, below in value.items():
        yield from _leaves(below, f"{path}.{key}" if path else key)


def _text(leaves: Mapping[str, Any], path: str) -> str:
    return shortened(leaves[path]) if path in leaves else "nothing"
