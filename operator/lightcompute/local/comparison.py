"""Two runs of one order held against each other: first what they ran on, then what came out, bit for bit.

Nothing is measured with a tolerance: numbers in `metrics.csv` are text with all digits, and weights are hashes.
"""

from __future__ import annotations

import csv
import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lightcompute.local.inventory import Inventory
from lightcompute.local.machine import this_machine
from runcontract import folder as names
from runcontract.audit import Audit
from runcontract.manifest import MODEL_FILE
from runcontract.metrics import REPEATABLE_COLUMNS

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not the same."""

    what: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before} then, {self.now} now"


def differences_beforehand(audit: Audit) -> tuple[Difference, ...]:
    """How this machine and its packages differ from those of the audit, as far as can be told without PyTorch."""
    machine = this_machine()
    now = {
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "architecture": platform.machine(),
        "processor": machine.cpu,
    }
    before = {
        "python": audit.python,
        "architecture": audit.hardware.machine,
        "processor": audit.hardware.cpu,
    }
    installed = {(entry.name or "").lower(): entry.version for entry in metadata.distributions()}
    # What was added since changes no number; what is missing or another version may.
    packages = {name: installed.get(name, "") for name in audit.packages}
    return (*_differing(before, now), *_differing(audit.packages, packages, "package "))


def differences_of_audits(before: Audit, now: Audit) -> tuple[Difference, ...]:
    """How two finished runs differ in what their numbers may depend on."""
    return (
        *_differing(_facts(before), _facts(now)),
        *_differing(before.packages, now.packages, "package "),
        *_differing(before.environment, now.environment, "variable "),
        *_differing(
            {name: str(seed) for name, seed in before.seeds.items()},
            {name: str(seed) for name, seed in now.seeds.items()},
            "seed ",
        ),
    )


def _facts(audit: Audit) -> dict[str, str]:
    hardware = audit.hardware
    return {
        "python": audit.python,
        "platform": audit.platform,
        "architecture": hardware.machine,
        "processor": hardware.cpu,
        "threads": str(hardware.threads),
        "devices": ", ".join(hardware.devices),
        "instruction sets": ", ".join(hardware.instruction_sets),
        "source": audit.git_commit or "",
        "deterministic algorithms": str(audit.deterministic),
        "configuration": audit.configuration_hash,
        "text": audit.data_sha256,
        "tokenizer": audit.tokenizer_sha256,
    }


def _differing(
    before: Mapping[str, str], now: Mapping[str, str], kind: str = ""
) -> Iterator[Difference]:
    for name in [*before, *(name for name in now if name not in before)]:
        was, is_ = before.get(name, ""), now.get(name, "")
        if was != is_:
            yield Difference(what=f"{kind}{name}", before=was or "nothing", now=is_ or "nothing")


def first_metrics_difference(before: Path, now: Path) -> Difference | None:
    """The first place at which the repeatable columns of two runs' `metrics.csv` differ, or None."""
    old, new = _rows(before), _rows(now)
    for old_row, new_row in zip(old, new, strict=False):
        for column in REPEATABLE_COLUMNS:
            if old_row.get(column) != new_row.get(column):
                where = f"{column} at step {old_row.get('step')}"
                return Difference(
                    what=where, before=str(old_row.get(column)), now=str(new_row.get(column))
                )
    if len(old) != len(new):
        return Difference(what="rows of metrics.csv", before=str(len(old)), now=str(len(new)))
    return None


def row_count(run_folder: Path) -> int:
    """Rows of a run's `metrics.csv`."""
    return len(_rows(run_folder))


def _rows(run_folder: Path) -> list[dict[str, str | None]]:
    with (run_folder / names.METRICS).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True, kw_only=True)
class FinalWeights:
    """The weights that a run ended with, as the hash of their file."""

    step: int
    sha256: str


def final_weights(run_folder: Path) -> FinalWeights | None:
    """The weights of the newest whole checkpoint, hashed now; None when there is none."""
    whole = [found for found in Inventory(run_folder).read() if found.whole]
    if not whole:
        return None
    path = run_folder / names.CHECKPOINTS / whole[-1].name / MODEL_FILE
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return FinalWeights(step=whole[-1].step, sha256=digest.hexdigest())


def environment_to_repeat(audit: Audit) -> dict[str, str]:
    """The variables that change numbers, as they were; ranks and the like come from whoever starts the trainer."""
    told = {"RANK", "LOCAL_RANK", "WORLD_SIZE"}
    kept = {name: value for name, value in audit.environment.items() if name not in told}
    if "OMP_NUM_THREADS" not in kept and audit.hardware.threads != len(os.sched_getaffinity(0)):
        kept["OMP_NUM_THREADS"] = str(audit.hardware.threads)
    return kept
