"""Which program an attempt's pods run, and what its environment says. The image decides where the run names no command."""

from __future__ import annotations

from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decision import StartAttempt
from lightcompute.kube.client import Document
from lightcompute.kube.manifests.marks import name_of
from lightcompute.kube.manifests.storage import bucket_of, storage_variables
from runcontract import environment

MASTER_PORT = 29500
REQUESTS_FOLDER = "/var/run/lightcompute-requests"
DEFAULT_SEED = "1337"
_TORCHRUN = ("python", "-m", "torch.distributed.run")
_CARRY = ("python", "-m", "lightgpt", "carry")


def uses_torchrun(run: TrainingRun) -> bool:
    """Whether torchrun stands between the pod and the trainer; it turns every exit code into 1."""
    trainer = run.spec.trainer
    return trainer.devices > 1 and run.spec.training is not None


def command(run: TrainingRun, start: StartAttempt, folder: str, *, order: str) -> tuple[str, ...]:
    """The program of each pod; nothing where it is the image's own. Several processes are started by torchrun."""
    trainer = run.spec.trainer
    ours = run.spec.training is not None and not trainer.command
    program = (
        ("python", "-m", "lightgpt", "train", order, "--out", folder) if ours else trainer.command
    )
    if program and uses_torchrun(run):
        program = _torchrun(run, start, program)
    return program if ours else _carried(run, program)


def _torchrun(run: TrainingRun, start: StartAttempt, program: tuple[str, ...]) -> tuple[str, ...]:
    trainer = run.spec.trainer
    nodes: tuple[str, ...] = ("--standalone",)
    if trainer.num_nodes > 1:
        nodes = (
            f"--nnodes={trainer.num_nodes}",
            # Kubernetes puts the rank of the pod in its environment, and fills it in here.
            "--node-rank=$(JOB_COMPLETION_INDEX)",
            f"--master-addr={_master(run, start.attempt)}",
            f"--master-port={MASTER_PORT}",
        )
    return (
        *_TORCHRUN,
        *nodes,
        f"--nproc-per-node={trainer.num_proc_per_node}",
        "--no-python",
        *program,
    )


def _carried(run: TrainingRun, program: tuple[str, ...]) -> tuple[str, ...]:
    """A program that is not ours with what keeps its checkpoints in the run's bucket before it: once a pod, whatever it starts itself."""
    bucket, settings = bucket_of(run), run.spec.checkpoints
    if not program or bucket is None:
        return program
    told: tuple[str, ...] = ()
    if run.spec.training is None:  # else the order says it
        told = (
            "--s3",
            bucket.model_dump_json(by_alias=True, exclude_none=True),
            f"--keep-latest={settings.keep_latest}",
            "--keep-best" if settings.keep_best else "--no-keep-best",
        )
    if run.spec.trainer.num_nodes > 1:
        told = (*told, "--node-rank=$(JOB_COMPLETION_INDEX)")
    return (*_CARRY, *told, "--", *program)


def arguments(run: TrainingRun) -> tuple[str, ...]:
    """What the run adds to the program."""
    return run.spec.trainer.args


def variables(run: TrainingRun, start: StartAttempt, folder: str, *, order: str) -> list[Document]:
    """The environment of the trainer; what the run gives comes before what the contract says, which wins."""
    told = {
        "PYTHONHASHSEED": DEFAULT_SEED,
        environment.GLOBAL_SEED: DEFAULT_SEED,
        "HOME": "/tmp",  # noqa: S108 - a volume of the pod's own
        environment.CACHE_FOLDER: "/tmp/lightcompute",  # noqa: S108 - the same
    }
    defaults = [{"name": name, "value": value} for name, value in told.items()]
    given = [each.document() for each in run.spec.trainer.env]
    named = {each["name"] for each in given}
    ours = {
        environment.ATTEMPT: str(start.attempt),
        environment.RUN_UID: run.metadata.uid,
        environment.OUTPUT_FOLDER: folder,
        environment.TERMINATION_LOG: "/dev/termination-log",
        environment.REQUESTS: REQUESTS_FOLDER,
    }
    ours |= storage_variables(run)
    if run.spec.training is not None:
        ours[environment.ORDER] = order
    if start.stop_after_seconds is not None:
        ours[environment.STOP_AFTER_SECONDS] = str(start.stop_after_seconds)
    if run.spec.trainer.num_nodes > 1:
        ours |= {"MASTER_ADDR": _master(run, start.attempt), "MASTER_PORT": str(MASTER_PORT)}
    return [
        *(each for each in defaults if each["name"] not in named),
        *given,
        *({"name": name, "value": value} for name, value in ours.items()),
    ]


def _master(run: TrainingRun, attempt: int) -> str:
    """The pod of rank 0, by the name that the headless Service gives it."""
    return f"{name_of(run, attempt, 'trainer')}-0.{name_of(run, attempt, 'rendezvous')}"
