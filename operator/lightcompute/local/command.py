"""Which program an attempt starts, with which variables. Pure but for this Python's own path.

In a cluster the image decides; here our own trainer is started with this Python, or the program that the run names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from lightcompute.api import TrainingRun
from lightcompute.local import leash
from lightcompute.local.folder import RunFolder
from lightcompute.local.store import source_folder
from runcontract import environment

DEFAULT_SEED = "1337"
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--no-python")


def command(run: TrainingRun, folder: RunFolder) -> tuple[str, ...]:
    """The arguments of the trainer's process; through torchrun when there are several processes."""
    trainer = run.spec.trainer
    program = trainer.command or (
        sys.executable,
        "-m",
        "lightgpt",
        "train",
        str(folder.order_file),
        "--out",
        str(folder.path),
        "--data-root",
        str(source_folder(run)),
    )
    if not uses_torchrun(run):
        return (*program, *trainer.args)
    # torchrun's workers are no children of the supervisor, so each is on a leash of its own.
    leashed = (sys.executable, "-I", "-S", leash.__file__, "0", *program, *trainer.args)
    processes = f"--nproc-per-node={trainer.num_proc_per_node}"
    return (sys.executable, *_TORCHRUN, processes, *leashed)


def uses_torchrun(run: TrainingRun) -> bool:
    """Whether torchrun stands between the supervisor and the trainer; it turns every exit code into 1."""
    return run.spec.trainer.num_proc_per_node > 1 and run.spec.training is not None


def variables(
    run: TrainingRun,
    folder: RunFolder,
    *,
    attempt: int,
    stop_after_seconds: int | None,
    termination_log: Path,
    inherited: Mapping[str, str],
) -> dict[str, str]:
    """What the trainer's environment has besides what it inherits."""
    seeds = {
        name: inherited.get(name) or DEFAULT_SEED
        for name in ("PYTHONHASHSEED", environment.GLOBAL_SEED)
    }
    # The working folder is the user's: a file of theirs named like a module must not be imported instead of it.
    ours = {} if run.spec.trainer.command else {"PYTHONSAFEPATH": "1"}
    given = {v.name: v.value for v in run.spec.trainer.env if v.value is not None}
    told = {
        environment.ATTEMPT: str(attempt),
        environment.RUN_UID: run.metadata.uid,
        environment.OUTPUT_FOLDER: str(folder.path),
        environment.TERMINATION_LOG: str(termination_log),
        environment.REQUESTS: str(folder.requests),
    }
    if run.spec.training is not None:
        told[environment.ORDER] = str(folder.order_file)
    # Empty, so that nothing inherited stands for it.
    told[environment.STOP_AFTER_SECONDS] = (
        "" if stop_after_seconds is None else str(stop_after_seconds)
    )
    return {**seeds, **ours, **given, **told}


def faults(run: TrainingRun) -> tuple[str, ...]:
    """What of the run cannot be carried out on this machine, each a sentence."""
    return tuple(_faults(run))


def _faults(run: TrainingRun) -> Iterator[str]:
    trainer = run.spec.trainer
    if trainer.num_nodes > 1:
        yield f"spec.trainer.numNodes is {trainer.num_nodes}; this machine is 1 node."
    if not trainer.command and run.spec.training is None:
        yield (
            "spec.trainer has neither a command nor a training: an image alone runs in a cluster only. "
            "Give spec.trainer.command."
        )
    for variable in trainer.env:
        if variable.value_from is not None:
            yield (
                f"spec.trainer.env: {variable.name} is taken from a Secret, which only a cluster has. "
                f"Give its value."
            )
    if run.spec.training is not None and not source_folder(run).is_dir():
        yield (
            f"The folder {source_folder(run)}, which the run's paths start from, is gone. "
            f"Run the file again from where it is now."
        )
