"""A trainer that is not ours: it follows the contract and nothing more. Its "weights" are one hash, chained over the steps.

Run as a program by tests of whoever supervises trainers. Variables set how it behaves: FOREIGN_STEPS (20), FOREIGN_STEP_SECONDS
(0.05), FOREIGN_SAVE_EVERY (5), FOREIGN_LEAVE_SECONDS (0, taken to save and leave), FOREIGN_EXIT_AT_STEP and FOREIGN_EXIT_CODE (leave
so, once reached), FOREIGN_HOLD_AT_STEP (wait there until asked to leave, unless it resumed), FOREIGN_DEAF (ignore SIGTERM),
FOREIGN_CHATTER (lines that are no reports).

It saves when the file `checkpoint-now` asks for it, at a step or while it holds, and keeps what `pins` names.

Two of them at once in one folder leave the file `two-trainers` there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runcontract import environment, folder
from runcontract.exit_codes import ExitCode
from runcontract.losses import Loss
from runcontract.manifest import (
    MANIFEST,
    PIN_SUFFIX,
    STATE_FILE,
    Manifest,
    ManifestFile,
    checkpoint_name,
    parse_manifest,
    sealed_bytes,
)
from runcontract.order import configuration_hash, read_order
from runcontract.progress import Evaluated, Finished, Report, Saved, Started, Stepped, report_line
from runcontract.requests import CHECKPOINT_NOW, PINS, parse_pins, parse_request
from runcontract.results import EndReason, Results, TargetVerdict, TerminationMessage
from runcontract.retention import KnownCheckpoint, retain

STEPS = int(os.environ.get("FOREIGN_STEPS", "20"))
STEP_SECONDS = float(os.environ.get("FOREIGN_STEP_SECONDS", "0.05"))
SAVE_EVERY = int(os.environ.get("FOREIGN_SAVE_EVERY", "5"))
LEAVE_SECONDS = float(os.environ.get("FOREIGN_LEAVE_SECONDS", "0"))
EXIT_AT_STEP = int(os.environ.get("FOREIGN_EXIT_AT_STEP", "-1"))
EXIT_CODE = int(os.environ.get("FOREIGN_EXIT_CODE", "1"))
HOLD_AT_STEP = int(os.environ.get("FOREIGN_HOLD_AT_STEP", "-1"))
TOKENS_PER_STEP = 100


class Trainer:
    """One attempt."""

    def __init__(self) -> None:
        variables = environment.read_attempt_environment(os.environ)
        self.attempt = variables.attempt
        self.termination_log = variables.termination_log
        self.order = read_order(Path(os.environ[environment.ORDER]))
        self.out = Path(os.environ[environment.OUTPUT_FOLDER])
        self.begin = datetime.now(UTC)
        self.alone = (self.out / "foreign.lock").open("w")
        try:
            fcntl.flock(self.alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (self.out / "two-trainers").touch()
        limit = variables.stop_after_seconds
        self.stop_at = time.monotonic() + limit if limit is not None else float("inf")
        self.asked = False
        wanted = variables.requests_folder
        self.requests = Path(wanted) if wanted else None
        self.at_begin = self.served = self._request()
        self.step, self.weights, self.resumed_from = self._resume()

    def run(self) -> ExitCode:
        if not os.environ.get("FOREIGN_DEAF"):
            signal.signal(signal.SIGTERM, self._ask)
        else:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for number in range(int(os.environ.get("FOREIGN_CHATTER", "0"))):
            print(f"chatter {number} {{not a report}}", flush=True)
        self._say(
            Started(
                **self._now(), max_steps=STEPS, parameters=1, training_tokens=1000,
                resumed_from_step=self.resumed_from, device="foreign",
            )
        )  # fmt: skip
        while self.step < STEPS:
            time.sleep(STEP_SECONDS)
            self._take_a_step()
            if self.step == EXIT_AT_STEP and self.resumed_from != self.step:
                return ExitCode(EXIT_CODE)
            self._serve()
            while self.step == HOLD_AT_STEP and self.resumed_from is None and not self.asked:
                time.sleep(0.01)
                self._serve()
            if self.asked:
                return self._leave(ExitCode.PREEMPTED, "Preempted")
            if time.monotonic() >= self.stop_at:
                return self._leave(ExitCode.BUDGET_REACHED, "BudgetReached")
        return self._leave(ExitCode.DONE, "MaxStepsReached")

    def _take_a_step(self) -> None:
        self.step += 1
        self.weights = hashlib.sha256(f"{self.weights}/{self.step}".encode()).hexdigest()
        with (self.out / folder.METRICS).open("a", encoding="utf-8") as file:
            file.write(f"{self.step},{self.weights}\n")
        self._say(
            Stepped(
                **self._now(), max_steps=STEPS, epoch=self.step / 10, tokens=self.step * TOKENS_PER_STEP,
                training_loss=self._loss().nats_per_token, learning_rate=0.1, gradient_norm=1.0,
                tokens_per_second=TOKENS_PER_STEP / max(STEP_SECONDS, 1e-3),
                remaining_seconds=(STEPS - self.step) * STEP_SECONDS,
            )
        )  # fmt: skip
        if self.step % SAVE_EVERY == 0 and self.step < STEPS:
            self._say(
                Evaluated(
                    **self._now(), validation=self._loss(), best=True,
                    training_loss=self._loss().nats_per_token, sample=f"To be at {self.step}",
                )
            )  # fmt: skip
            self._save()

    def _serve(self) -> None:
        request = self._request()
        if request not in {"", self.at_begin, self.served}:
            self.served = request
            self._save()

    def _request(self) -> str:
        return parse_request(self._wanted(CHECKPOINT_NOW))

    def _wanted(self, name: str) -> bytes:
        path = self.requests / name if self.requests else None
        return path.read_bytes() if path and path.exists() else b""

    def _loss(self) -> Loss:
        value = 5.0 / (1 + self.step)
        return Loss(nats_per_token=value, nats_per_character=value / 2, bits_per_byte=value / 1.4)

    def _save(self) -> None:
        name = checkpoint_name(self.step)
        final = self.out / folder.CHECKPOINTS / name
        if final.exists():
            return
        temporary = final.with_name(f".{name}.{os.getpid()}")
        temporary.mkdir(parents=True)
        content = json.dumps({"step": self.step, "weights": self.weights}).encode()
        (temporary / STATE_FILE).write_bytes(content)
        manifest = sealed_bytes(self._manifest(content))
        (temporary / MANIFEST).write_bytes(manifest)
        temporary.rename(final)
        kept = self._retain()
        self._say(
            Saved(
                **self._now(), name=name, size_bytes=len(content), validation=self._loss(),
                digest=hashlib.sha256(manifest).hexdigest(), save_seconds=0.0, kept=kept,
            )
        )  # fmt: skip

    def _retain(self) -> tuple[str, ...]:
        """The contract's rule; here the newest is always the best."""
        steps = sorted(int(path.name.partition("-")[2]) for path in self._checkpoints())
        pins = parse_pins(self._wanted(PINS)).steps
        folder_of_all = self.out / folder.CHECKPOINTS
        known = [
            KnownCheckpoint(
                step=step, verified=True, validation_loss=1 / step,
                pinned=step in pins or (folder_of_all / f"{checkpoint_name(step)}{PIN_SUFFIX}").exists(),
            )
            for step in steps
        ]  # fmt: skip
        settings = self.order.checkpoints
        outcome = retain(
            known,
            keep_latest=settings.keep_latest,
            keep_best=settings.keep_best,
            resumed_from=self.resumed_from,
        )
        for step in outcome.deleted:
            shutil.rmtree(self.out / folder.CHECKPOINTS / checkpoint_name(step))
        return tuple(checkpoint_name(step) for step in outcome.kept)

    def _checkpoints(self) -> list[Path]:
        return sorted(
            path for path in self.out.glob(f"{folder.CHECKPOINTS}/step-*") if path.is_dir()
        )

    def _manifest(self, content: bytes) -> Manifest:
        return Manifest(
            run_uid=self.order.run.uid, attempt=self.attempt, step=self.step, epoch=self.step / 10,
            tokens=self.step * TOKENS_PER_STEP, created_time=datetime.now(UTC), parent_step=self.resumed_from,
            configuration_hash=configuration_hash(self.order.training), tokenizer_sha256="0" * 64,
            data_sha256="0" * 64, parameters=1, model={}, validation=self._loss(), best_validation=self._loss(),
            files=(
                ManifestFile(name=STATE_FILE, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()),
            ),
        )  # fmt: skip

    def _resume(self) -> tuple[int, str, int | None]:
        for path in reversed(self._checkpoints()):
            manifest = parse_manifest((path / MANIFEST).read_bytes())
            state = json.loads((path / STATE_FILE).read_bytes())
            self._forget_steps_after(manifest.step)
            return manifest.step, state["weights"], manifest.step
        self._forget_steps_after(0)
        return 0, "", None

    def _forget_steps_after(self, step: int) -> None:
        path = self.out / folder.METRICS
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        path.write_text("".join(lines[:step]), "utf-8")

    def _leave(self, code: ExitCode, reason: EndReason) -> ExitCode:
        self._save()
        time.sleep(LEAVE_SECONDS)
        message = f"{reason} at step {self.step} of {STEPS}."
        target = self.order.training.target
        verdict = (
            TargetVerdict(
                metric=target.metric, unit=target.unit, at_most=target.at_most,
                reached=self._loss().in_unit(target.unit),
                met=self._loss().in_unit(target.unit) <= target.at_most,
            )
            if target
            else None
        )  # fmt: skip
        results = Results(
            reason=reason, message=message, exit_code=code, attempt=self.attempt, steps=self.step, max_steps=STEPS,
            epochs=self.step / 10, tokens=self.step * TOKENS_PER_STEP, parameters=1, started_time=self.begin,
            finished_time=datetime.now(UTC), training_seconds=self.step * STEP_SECONDS, tokens_per_second=100.0,
            final_validation=self._loss(), best_validation=self._loss(), best_step=self.step, target=verdict,
            sample=f"To be at {self.step}",
        )  # fmt: skip
        (self.out / folder.RESULTS).write_text(json.dumps(results.document()), "utf-8")
        if self.termination_log:
            last_word = TerminationMessage(
                exit_code=code, reason=reason, message=message, step=self.step,
                final_validation=self._loss(), best_validation=self._loss(), target=verdict,
            )  # fmt: skip
            Path(self.termination_log).write_text(last_word.text(), "utf-8")
        self._say(Finished(**self._now(), exit_code=code, reason=reason, message=message))
        return code

    def _ask(self, *_: object) -> None:
        self.asked = True

    def _now(self) -> dict[str, Any]:
        return {"time": datetime.now(UTC), "attempt": self.attempt, "step": self.step}

    def _say(self, report: Report) -> None:
        print(report_line(report), flush=True)


if __name__ == "__main__":
    sys.exit(Trainer().run())
