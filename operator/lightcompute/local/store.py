"""A run's two documents: `run.yaml` (what is wanted) and `status.yaml` (what is), with the API server's manners.

Each change raises the generation, each status is written against the version that was read, and what was once recorded is
never silently started over: a damaged document is a fault, since the status is also the ledger.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightcompute.api import TrainingRun, TrainingRunSpec, TrainingRunStatus
from lightcompute.local.files import locked, write_whole
from lightcompute.local.folder import RunFolder, unwritable
from lightcompute.local.records import now
from runcontract.document import dump_document, parse_document, parse_model
from runcontract.faults import ConfigurationFault, Fault
from runcontract.order import Order, RunIdentity

SOURCE = "lightcompute.dev/source-file"
"""Annotation: the file that the run was made from; paths in the order are relative to its folder."""
_MAX_STATUS_BYTES = 4 << 20


class StatusChanged(Exception):
    """Another process wrote the status since it was read."""


class RunStore:
    """The documents of one run."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def create(self, run: TrainingRun) -> TrainingRun:
        """Makes the run's folder and documents. The run exists as of the last file, `run.yaml`."""
        metadata = run.metadata.model_copy(
            update={
                "name": self.folder.name,
                "uid": str(uuid.uuid4()),
                "generation": 1,
                "creation_timestamp": now(),
            }
        )
        created = run.model_copy(update={"metadata": metadata, "status": TrainingRunStatus()})
        try:
            self.folder.path.mkdir(parents=True, exist_ok=True)
            with locked(self.folder.change_lock):
                if self.folder.exists():
                    return self.read()
                self._write_order(created)
                self._write_run(created)
        except OSError as error:
            raise unwritable(self.folder.path, error) from error
        return self.read()

    def read(self) -> TrainingRun:
        """The run with its status; `metadata.resourceVersion` is the version of the status."""
        document = _document(self.folder.run_file)
        run = parse_model(TrainingRun, document, where=str(self.folder.run_file))
        status, version = self._read_status()
        metadata = run.metadata.model_copy(update={"resource_version": version})
        return run.model_copy(update={"metadata": metadata, "status": status})

    def change(
        self, edit: Callable[[TrainingRun], TrainingRun], *, again: bool = False
    ) -> TrainingRun:
        """Changes the run as `edit` says; a changed spec has the next generation, and so has an unchanged one with `again`."""
        with locked(self.folder.change_lock):
            old = self.read()
            new = edit(old)
            if new.spec != old.spec or again:
                generation = old.metadata.generation + 1
                metadata = new.metadata.model_copy(update={"generation": generation})
                new = new.model_copy(update={"metadata": metadata})
                self._write_order(new)
            if new != old:
                self._write_run(new)
        return self.read()

    def write_status(self, status: TrainingRunStatus, *, version: str) -> None:
        """Writes the status, if it is still the one of `version`; else raises `StatusChanged`."""
        with locked(self.folder.change_lock):
            if _version(self._read_raw_status()) != version:
                raise StatusChanged(str(self.folder.status_file))
            write_whole(self.folder.status_file, dump_document(status.document()))

    def _read_status(self) -> tuple[TrainingRunStatus, str]:
        raw = self._read_raw_status()
        if raw is None:
            return TrainingRunStatus(), _version(raw)
        where = str(self.folder.status_file)
        if len(raw) > _MAX_STATUS_BYTES:
            raise _damaged(self.folder.status_file, f"{len(raw)} bytes")
        try:
            document = parse_document(raw.decode("utf-8"), where=where)
        except UnicodeDecodeError as error:
            raise _damaged(self.folder.status_file, "no UTF-8") from error
        return parse_model(TrainingRunStatus, document, where=where), _version(raw)

    def _read_raw_status(self) -> bytes | None:
        try:
            return self.folder.status_file.read_bytes()
        except FileNotFoundError:
            return None

    def _write_run(self, run: TrainingRun) -> None:
        write_whole(self.folder.run_file, dump_document(_document_as_given(run)))

    def _write_order(self, run: TrainingRun) -> None:
        order = order_of(run)
        if order is not None:
            write_whole(self.folder.order_file, order.text())


def _document_as_given(run: TrainingRun) -> dict[str, Any]:
    """The run without status and without defaults, as a person writes it; but `training` in full, since it must not change."""
    document = run.model_dump(
        mode="json",
        by_alias=True,
        exclude_unset=True,
        exclude_none=True,
        exclude={"status": True, "metadata": {"resource_version"}},
    )
    if run.spec.training is not None:
        document["spec"]["training"] = run.spec.training.document()
    return {"apiVersion": run.api_version, "kind": run.kind} | document


def _version(raw: bytes | None) -> str:
    return "" if raw is None else hashlib.sha256(raw).hexdigest()[:32]


def order_of(run: TrainingRun) -> Order | None:
    """What a trainer of ours is told; None for a program that takes no order."""
    if run.spec.training is None:
        return None
    return Order(
        run=RunIdentity(name=run.metadata.name, uid=run.metadata.uid),
        training=run.spec.training,
        checkpoints=run.spec.checkpoints,
    )


def source_folder(run: TrainingRun) -> Path:
    """The folder that relative paths in the order start from."""
    source = run.metadata.annotations.get(SOURCE)
    return Path(source).parent if source else Path.cwd()


def with_spec(run: TrainingRun, **changes: object) -> TrainingRun:
    """The run with keys of its spec changed, and the whole checked again."""
    spec = TrainingRunSpec.model_validate(
        {name: getattr(run.spec, name) for name in run.spec.model_fields_set} | changes
    )
    return run.model_copy(update={"spec": spec})


def _document(path: Path) -> dict[str, object]:
    try:
        return parse_document(path.read_text(encoding="utf-8"), where=str(path))
    except UnicodeDecodeError as error:
        raise _damaged(path, "no UTF-8") from error


def _damaged(path: Path, found: str) -> ConfigurationFault:
    return ConfigurationFault(
        Fault(where=str(path), found=found, expected="the document that was written there")
    )
