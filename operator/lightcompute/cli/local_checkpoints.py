"""The checkpoints of a run on this machine: its own folder. Whatever reads weights or deletes is the trainer's own command."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from lightcompute.api import TrainingRun
from lightcompute.cli.other_cluster import OtherCluster
from lightcompute.cli.run_checkpoints import CheckpointRow
from lightcompute.core.revise import revised
from lightcompute.local.backend import LocalBackend
from lightcompute.local.folder import RunFolder, Runs, controlling
from lightcompute.local.inventory import FoundCheckpoint, Inventory
from lightcompute.local.store import RunStore
from runcontract import folder as names
from runcontract.faults import ConfigurationFault, Fault
from runcontract.manifest import PIN_SUFFIX, checkpoint_name
from runcontract.requests import MAX_PINS_BYTES, PINS, parse_pins, pins_text
from runcontract.retention import KnownCheckpoint, retain


class LocalCheckpoints:
    """What the run's trainer has saved below the run's folder."""

    def __init__(self, runs: Runs, folder: RunFolder) -> None:
        self._runs = runs
        self._run = folder
        self._folder = folder.path / names.CHECKPOINTS

    def rows(self) -> tuple[CheckpointRow, ...]:
        """By their manifests; why each is kept as the rule says now, by the run's spec."""
        found = Inventory(self._run.path).read()
        settings = RunStore(self._run).read().spec.checkpoints
        pins = self._pins()
        known = [
            KnownCheckpoint(
                step=each.step,
                verified=each.whole,
                validation_loss=_loss(each),
                pinned=each.step in pins,
            )
            for each in found
        ]
        kept = retain(known, keep_latest=settings.keep_latest, keep_best=settings.keep_best).kept
        return tuple(
            _row(each, pinned=each.step in pins, kept=tuple(sorted(kept.get(each.step, ()))))
            for each in found
        )

    def verify(self, *, step: int | None, everything: bool, as_json: bool) -> int:
        """By `lightgpt checkpoint verify`."""
        if step is not None:
            self._refuse_missing(step)
        path = self._run.path if step is None else self._folder / checkpoint_name(step)
        return _lightgpt("verify", str(path), *_flags(all=everything, json=as_json))

    def pin(self, step: int) -> str:
        """By a file beside the checkpoint, which every trainer that prunes looks for."""
        self._refuse_missing(step)
        pin = self._pin_file(step)
        pin.parent.mkdir(parents=True, exist_ok=True)
        pin.touch()
        try:
            # The trainer may have been about to delete it: what is gone is not kept.
            self._refuse_missing(step)
        except ConfigurationFault:
            pin.unlink(missing_ok=True)
            raise
        return f"The checkpoint of {self._run.name} at step {step} is pinned."

    def unpin(self, step: int) -> str:
        """Takes the file away."""
        try:
            self._pin_file(step).unlink()
        except FileNotFoundError:
            return f"The checkpoint of {self._run.name} at step {step} was not pinned."
        return f"The checkpoint of {self._run.name} at step {step} is not pinned any more."

    def save_now(self, timeout_seconds: float) -> int:
        """Through the folder of requests that its trainer reads."""
        from lightcompute.cli.local_save import save_now

        return save_now(self._runs, self._run, timeout_seconds)

    def prune(self, *, dry_run: bool, as_json: bool) -> int:
        """By `lightgpt checkpoint prune`, while nobody else acts for the run."""
        self._refuse_living()
        with controlling(self._run):
            self._refuse_living()
            run = RunStore(self._run).read()
            settings = run.spec.checkpoints
            code = _lightgpt(
                "prune",
                str(self._run.path),
                f"--keep-latest={settings.keep_latest}",
                "--keep-best" if settings.keep_best else "--no-keep-best",
                *self._pruned_by(settings.pattern),
                *_flags(dry_run=dry_run, json=as_json),
            )
            self._forget_deleted(run)
        return code

    def _pruned_by(self, pattern: str | None) -> tuple[str, ...]:
        """Pins, and the pattern; what goes by manifests finds the pin files by itself."""
        if pattern is None:
            return (f"--pins={pins_text(self._requested_pins())}",)
        return f"--pins={pins_text(self._pins())}", f"--pattern={pattern}"

    def copy(
        self,
        destination: Path,
        *,
        step: int | None,
        as_json: bool,
        other: OtherCluster,
    ) -> int:
        """By `lightgpt checkpoint copy`."""
        del other  # whoever gives one means a cluster
        chosen = () if step is None else (f"--step={step}",)
        return _lightgpt(
            "copy", str(self._run.path), str(destination), *chosen, *_flags(json=as_json)
        )

    def _pins(self) -> frozenset[int]:
        suffix = len(PIN_SUFFIX)
        pinned = (path.name[5:-suffix] for path in self._folder.glob(f"step-*{PIN_SUFFIX}"))
        return self._requested_pins() | {int(step) for step in pinned if step.isdigit()}

    def _requested_pins(self) -> frozenset[int]:
        try:
            with (self._run.requests / PINS).open("rb") as file:
                return parse_pins(file.read(MAX_PINS_BYTES + 1)).steps
        except FileNotFoundError:
            return frozenset()

    def _pin_file(self, step: int) -> Path:
        return self._folder / f"{checkpoint_name(step)}{PIN_SUFFIX}"

    def _refuse_missing(self, step: int) -> None:
        if (self._folder / checkpoint_name(step)).is_dir():
            return
        if RunStore(self._run).read().spec.checkpoints.pattern is not None:
            return  # what a pattern names has other names
        steps = ", ".join(str(each.step) for each in Inventory(self._run.path).read()[-20:])
        raise ConfigurationFault(
            Fault(
                where=f"run {self._run.name}",
                found=f"no checkpoint at step {step}",
                expected=f"one of: {steps}" if steps else "a checkpoint, but there is none yet",
            )
        )

    def _refuse_living(self) -> None:
        if not LocalBackend(self._runs).is_alive(RunStore(self._run).read()):
            return
        raise ConfigurationFault(
            Fault(
                where=f"run {self._run.name}",
                found="an attempt that is alive, whose trainer prunes by itself as it saves",
                expected="a run that does not train now",
                action=f"`lightcompute stop {self._run.name}` has it save and leave.",
            )
        )

    def _forget_deleted(self, run: TrainingRun) -> None:
        """The status of a run that is over is never written again, so what it lists must be there."""
        there = {each.name for each in Inventory(self._run.path).read()}
        listed = tuple(each for each in run.status.checkpoints if each.name in there)
        if listed != run.status.checkpoints:
            status = revised(run.status, checkpoints=listed)
            version = run.metadata.resource_version or ""
            RunStore(self._run).write_status(status, version=version)


def _row(found: FoundCheckpoint, *, pinned: bool, kept: tuple[str, ...]) -> CheckpointRow:
    manifest = found.manifest
    return CheckpointRow(
        name=found.name,
        step=found.step,
        verified=found.whole,
        pinned=pinned,
        kept_because=kept,
        size_bytes=manifest.size_bytes if manifest else None,
        digest=found.digest,
        epoch=manifest.epoch if manifest else None,
        validation=manifest.validation if manifest else None,
        created_time=manifest.created_time if manifest else None,
    )


def _loss(found: FoundCheckpoint) -> float | None:
    manifest = found.manifest
    return manifest.validation.nats_per_token if manifest and manifest.validation else None


def _flags(**wanted: bool) -> tuple[str, ...]:
    return tuple(f"--{name.replace('_', '-')}" for name, given in wanted.items() if given)


def _lightgpt(verb: str, *words: str) -> int:
    """Runs `lightgpt checkpoint verb words`; what it says goes where ours goes. Its exit code."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigurationFault(
            Fault(
                where="lightgpt",
                found="no PyTorch",
                expected="the trainer on this machine: its own command does this",
                action="Install it: pip install 'lightcompute[trainer]'.",
            )
        )
    sys.stdout.flush()
    done = subprocess.run(
        [sys.executable, "-m", "lightgpt", "checkpoint", verb, *words],
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    # Killed by a signal: as a shell tells it.
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
