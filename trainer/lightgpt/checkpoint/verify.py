"""Judges a checkpoint from anywhere, without loading it: is it whole, is it the model it says, are its numbers sane.

Each file is read once, whatever its size (`scan`). What is found becomes findings; the verdict follows from them alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lightgpt.checkpoint.expectations import (
    TOKEN_EMBEDDING,
    Shapes,
    compare_shapes,
    expected_shapes,
    shapes_of,
)
from lightgpt.checkpoint.faults import BrokenFile
from lightgpt.checkpoint.findings import tensor_report, value_findings
from lightgpt.checkpoint.identity import training_differences
from lightgpt.checkpoint.reading import read_state
from lightgpt.checkpoint.report import (
    Contents,
    Finding,
    Origin,
    Severity,
    TensorReport,
    VerificationReport,
    verdict_of,
)
from lightgpt.checkpoint.scan import ScannedFile, scan_file
from lightgpt.checkpoint.subject import Subject, shards, subjects
from lightgpt.checkpoint.whole import check_file, read_manifest
from runcontract.manifest import (
    MANIFEST,
    MODEL_FILE,
    OPTIMIZER_FILE,
    STATE_FILE,
    Manifest,
    ManifestFile,
)
from runcontract.order import Training, configuration_hash

_SUFFIX = ".safetensors"


def verify_checkpoint(path: Path, *, against: Training | None = None) -> VerificationReport:
    """The report on what is at `path`, of a run its newest checkpoint; raises `CheckpointFault` when nothing is there."""
    return verify(subjects(path)[0], against=against)


def verify(subject: Subject, *, against: Training | None = None) -> VerificationReport:
    """The report on `subject`; with `against`, also whether it belongs to that training."""
    began_s = time.monotonic()
    examination = _Examination(subject=subject, against=against)
    match subject.kind:
        case "Checkpoint":
            examination.checkpoint()
        case "TensorFile":
            examination.tensor_file()
        case "ShardedModel":
            examination.sharded_model()
    return examination.report(seconds=time.monotonic() - began_s)


@dataclass(kw_only=True)
class _Examination:
    """One verification under way: the files that were read and what was found in them."""

    subject: Subject
    against: Training | None
    findings: list[Finding] = field(default_factory=list)
    files: dict[str, ScannedFile] = field(default_factory=dict)
    manifest: Manifest | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    other_bytes: int = 0
    hashes: Literal["Matched", "Broken", "NotRecorded"] = "NotRecorded"
    shapes: Literal["AsExpected", "Different", "NotKnown"] = "NotKnown"

    # ---- one for each kind of subject ---------------------------------------------------------------------------

    def checkpoint(self) -> None:
        folder = self.subject.path
        if left := re.search(r"\.(tmp|deleted|broken)-\d+$", folder.name):
            self.warn(folder.name, f"a folder marked {left.group(1)}", "a committed checkpoint")
        try:
            self.manifest, _ = read_manifest(folder)
        except (BrokenFile, OSError) as error:
            self.error(MANIFEST, _text(error), "a sealed manifest")
            for path in sorted(folder.glob(f"*{_SUFFIX}")):
                self.scan(path, expected=None)
            return
        self.hashes = "Matched"
        for file in self.manifest.files:
            if file.name.endswith(_SUFFIX):
                self.scan(folder / file.name, expected=file)
            else:
                self.check(folder, file)
        self.look_for_strangers(self.manifest)
        self.compare_with_manifest(self.manifest)

    def tensor_file(self) -> None:
        self.scan(self.subject.path, expected=None)
        self.compare_with_order(self.model_shapes())

    def sharded_model(self) -> None:
        try:
            weight_map, names = shards(self.subject.path)
        except (BrokenFile, OSError) as error:
            self.error("index", _text(error), "a map from tensors to files")
            return
        for name in names:
            self.scan(self.subject.path / name, expected=None)
        self.findings += _twice(self.files)
        if weight_map is not None:
            self.findings += _against_index(self.files, weight_map)
        self.compare_with_order(self.model_shapes())

    # ---- steps --------------------------------------------------------------------------------------------------

    def scan(self, path: Path, *, expected: ManifestFile | None) -> None:
        try:
            scanned = scan_file(path, hashed=expected is not None)
        except (BrokenFile, OSError) as error:
            self.error(path.name, _text(error), "a whole safetensors file")
            self.hashes = "Broken" if expected else self.hashes
            return
        self.files[path.name] = scanned
        self.findings += value_findings(path.name, scanned)
        if expected is not None and (scanned.size_bytes, scanned.sha256) != (
            expected.size_bytes,
            expected.sha256,
        ):
            self.hashes = "Broken"
            self.error(path.name, f"hash {scanned.sha256}", f"hash {expected.sha256}")

    def check(self, folder: Path, file: ManifestFile) -> None:
        try:
            check_file(folder, file)
            if file.name == STATE_FILE and self.is_ours():
                self.state = read_state(folder, file)
        except (BrokenFile, OSError) as error:
            self.hashes = "Broken"
            self.error(file.name, _text(error), "the file that its manifest names")
        self.other_bytes += file.size_bytes

    def look_for_strangers(self, manifest: Manifest) -> None:
        known = {file.name for file in manifest.files} | {MANIFEST}
        strangers = sorted(
            entry.name for entry in self.subject.path.iterdir() if entry.name not in known
        )
        if strangers:
            self.warn(strangers[0], f"{len(strangers)} files that the manifest does not name", "")

    def compare_with_manifest(self, manifest: Manifest) -> None:
        if self.against is not None:
            for fault in training_differences(
                manifest, self.against.document(), configuration_hash(self.against)
            ):
                self.error(fault.where, fault.found, fault.expected)
        if MODEL_FILE not in self.files:
            return
        expected = expected_shapes(manifest.model)
        if expected is None:
            self.warn(f"{MANIFEST}: model", "no model that is known here", "a model configuration")
        else:
            self.compare(expected)
        if self.parameters() != manifest.parameters:
            self.error(MODEL_FILE, f"{self.parameters():,} parameters", f"{manifest.parameters:,}")
        for name, there in self.contents():
            if there is False:
                self.warn(STATE_FILE, f"no {name} state", "what a training needs to go on")

    def compare_with_order(self, found: Shapes) -> None:
        if self.against is None:
            return
        embedding = found.get(TOKEN_EMBEDDING)
        if embedding is None or len(embedding) != 2:
            self.error(self.subject.path.name, f"no {TOKEN_EMBEDDING}", "a model of the order")
            return
        self.compare(shapes_of(self.against.model, embedding[0]))

    def compare(self, expected: Shapes) -> None:
        different = list(compare_shapes(self.model_shapes(), expected, where=self.model_name()))
        self.shapes = "Different" if different else "AsExpected"
        self.findings += different

    def error(self, where: str, found: str, expected: str) -> None:
        self.findings.append(
            Finding(severity=Severity.ERROR, where=where, found=found, expected=expected)
        )

    def warn(self, where: str, found: str, expected: str) -> None:
        self.findings.append(
            Finding(severity=Severity.WARNING, where=where, found=found, expected=expected)
        )

    def miss_the_model(self) -> None:
        """Of another trainer's checkpoint only that it is whole can be said: its weights are in a form of its own."""
        if self.manifest is None or self.is_ours():
            self.error(self.model_name(), "no tensors of a model", "weights")
        else:
            self.warn(
                MANIFEST, "no weights of a form that is known here", "hashes alone were compared"
            )

    def is_ours(self) -> bool:
        """Whether its manifest tells of a model of our kind, or of a file that has the name of its weights."""
        if self.manifest is None:
            return False
        names = {file.name for file in self.manifest.files}
        return MODEL_FILE in names or expected_shapes(self.manifest.model) is not None

    # ---- what was read ------------------------------------------------------------------------------------------

    def model_name(self) -> str:
        return MODEL_FILE if self.subject.kind == "Checkpoint" else self.subject.path.name

    def model_files(self) -> list[ScannedFile]:
        if self.subject.kind != "Checkpoint":
            return list(self.files.values())
        return [self.files[MODEL_FILE]] if MODEL_FILE in self.files else []

    def model_shapes(self) -> Shapes:
        return {
            tensor.entry.name: tensor.entry.shape
            for file in self.model_files()
            for tensor in file.tensors
        }

    def parameters(self) -> int:
        return sum(tensor.entry.elements for file in self.model_files() for tensor in file.tensors)

    def contents(self) -> Contents:
        model = any(file.tensors for file in self.model_files())
        if self.subject.kind != "Checkpoint":
            return Contents(model=model)
        return Contents(
            model=model,
            optimizer=OPTIMIZER_FILE in self.files,
            scheduler="schedule" in self.state,
            history="history" in self.state,
        )

    def report(self, *, seconds: float) -> VerificationReport:
        if not self.contents().model:
            self.miss_the_model()
        tensors = tuple(self.tensor_reports())
        findings = tuple(sorted(self.findings, key=lambda f: f.severity != Severity.ERROR))
        return VerificationReport(
            path=str(self.subject.path),
            kind=self.subject.kind,
            verdict=verdict_of(findings),
            findings=findings,
            origin=_origin(self.manifest) if self.manifest else None,
            contents=self.contents(),
            hashes=self.hashes,
            shapes=self.shapes,
            parameters=self.parameters(),
            tensors=tensors,
            nan=sum(tensor.nan for tensor in tensors),
            infinite=sum(tensor.infinite for tensor in tensors),
            size_bytes=self.other_bytes + sum(file.size_bytes for file in self.files.values()),
            seconds=seconds,
        )

    def tensor_reports(self) -> Iterator[TensorReport]:
        for name, file in self.files.items():
            yield from (tensor_report(name, tensor) for tensor in file.tensors)


def _origin(manifest: Manifest) -> Origin:
    return Origin(**{name: getattr(manifest, name) for name in Origin.model_fields})


def _twice(files: Mapping[str, ScannedFile]) -> Iterator[Finding]:
    holders: dict[str, str] = {}
    for file, scanned in files.items():
        for tensor in scanned.tensors:
            name = tensor.entry.name
            if name in holders:
                yield Finding(
                    severity=Severity.ERROR,
                    where=f"{file}: {name}",
                    found=f"the same name in {holders[name]}",
                    expected="one file for each tensor",
                )
            holders.setdefault(name, file)


def _against_index(
    files: Mapping[str, ScannedFile], weight_map: Mapping[str, str]
) -> Iterator[Finding]:
    held = {(tensor.entry.name, name) for name, file in files.items() for tensor in file.tensors}
    for name, file in sorted(weight_map.items()):
        if file in files and (name, file) not in held:
            yield Finding(
                severity=Severity.ERROR,
                where=f"{file}: {name}",
                found="no such tensor",
                expected="the tensor that the index names",
            )
    for name, file in sorted(held):
        if weight_map.get(name) != file:
            yield Finding(
                severity=Severity.WARNING,
                where=f"{file}: {name}",
                found="a tensor that the index does not place there",
            )


def _text(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
