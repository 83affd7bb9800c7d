"""One attempt at an order: everything that the loop needs, made in the order in which faults are cheapest to find.

Nothing is written to the output folder before the order, the data and the model are known to fit together.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch

from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.store import CheckpointStore
from lightgpt.data.cache_folder import default_cache_folder
from lightgpt.data.prepared import PreparedData, prepare
from lightgpt.data.stream import TrainingStream
from lightgpt.model.gpt import GPT
from lightgpt.train import audit
from lightgpt.train.batches import TrainingBatches
from lightgpt.train.determinism import make_deterministic, seed_everything, seeds_in_force
from lightgpt.train.files import storage, write_atomically
from lightgpt.train.judge import ModelJudge
from lightgpt.train.loop import Desk, Loop, Pace
from lightgpt.train.plan import Plan, make_plan
from lightgpt.train.recorder import Recorder, Scale
from lightgpt.train.reports import Reporter, now, open_progress
from lightgpt.train.saving import Saving
from lightgpt.train.snapshots import restore, share, snapshot
from lightgpt.train.state import LoopState
from lightgpt.train.step import Stepper
from lightgpt.train.stopping import Deadline, StopSignals
from lightgpt.train.world import World, use_threads
from runcontract import folder as layout
from runcontract.audit import Audit
from runcontract.environment import AttemptEnvironment
from runcontract.order import Order, configuration_hash
from runcontract.progress import Started


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an attempt is told, and when it began."""

    order: Order
    order_path: Path
    folder: Path
    data_root: Path
    environment: AttemptEnvironment
    variables: Mapping[str, str]
    started_time: datetime


@dataclass(frozen=True, kw_only=True)
class Material:
    """What every process has: data, model and the means to move it."""

    world: World
    threads: int
    data: PreparedData
    model: GPT
    stepper: Stepper
    plan: Plan
    pace: Pace
    judge: ModelJudge


def gather(terms: Terms, world: World) -> Material:
    """Reads the data and builds the model; raises faults of the order and of the data."""
    training = terms.order.training
    threads = use_threads(terms.variables, local_size=world.local_size)
    make_deterministic(compiles=training.compile)
    seed_everything(training.seed)
    world.join()
    data = _prepared(terms, world)
    stream = TrainingStream(data, training)
    batches = TrainingBatches(stream, world)
    passes = training.gradient_accumulation_steps
    plan = make_plan(training, terms.order.checkpoints, stream.sampler)
    stream.runs_for(plan.max_steps * passes)
    model = GPT(training.model, data.tokenizer.vocab_size)
    model.initialize(training.seed)
    model.to(world.device)
    stepper = Stepper(model, training, world=world, batch=batches, max_steps=plan.max_steps)
    return Material(
        world=world,
        threads=threads,
        data=data,
        model=model,
        stepper=stepper,
        plan=plan,
        pace=Pace(
            epochs_per_step=stream.sampler.epoch_of(passes),
            tokens_per_step=training.batch_size * passes * training.model.context_length,
        ),
        judge=ModelJudge(model, stepper.average, data, training, world),
    )


def _prepared(terms: Terms, world: World) -> PreparedData:
    """The data; one process of a machine makes it, the others find it made."""
    if world.local_rank != 0:
        world.wait()
    data = prepare(
        terms.order.training,
        base_folder=terms.data_root,
        cache_folder=default_cache_folder(terms.variables),
        variables=terms.variables,
    )
    if world.local_rank == 0:
        world.wait()
    return data


@contextmanager
def open_loop(
    terms: Terms, material: Material, signals: StopSignals, deadline: Deadline
) -> Iterator[tuple[Loop, Reporter, CheckpointStore | None]]:
    """The loop, where the newest checkpoint left it; raises `CheckpointFault` and `StorageFault`."""
    with ExitStack() as stack:
        store, state, resumed = None, LoopState(), None
        if material.world.is_main:
            store = stack.enter_context(_store(terms, material))
            loaded = store.load_newest()
            if loaded is not None:
                state = restore(loaded, material.model, material.stepper)
                resumed = state.step
            del loaded
        state = share(state, material.model, material.stepper, material.world)
        reporter = Reporter(journal=None, quiet=store is None)
        desk = None
        if store is not None:
            _write_documents(terms, material)
            journal = open_progress(terms.folder, resumed_step=state.step)
            reporter = Reporter(journal=journal)
            desk = _desk(terms, material, state, store, reporter, resumed_step=resumed)
            _announce(terms, material, reporter, resumed_step=resumed)
            for entry in state.history:
                desk.saving.note_validation(entry.step, entry.validation)
            desk.saving.look(state.step)
        loop = Loop(
            material.stepper,
            state,
            material.plan,
            world=material.world,
            judge=material.judge,
            desk=desk,
            pace=material.pace,
            signals=signals,
            deadline=deadline,
            early_stopping=terms.order.training.early_stopping,
        )
        yield loop, reporter, store


def _store(terms: Terms, material: Material) -> CheckpointStore:
    training, data = terms.order.training, material.data
    with storage(terms.folder):
        terms.folder.mkdir(parents=True, exist_ok=True)
    return CheckpointStore(
        terms.folder / layout.CHECKPOINTS,
        identity=CheckpointIdentity(
            run_uid=terms.order.run.uid,
            attempt=terms.environment.attempt,
            configuration_hash=configuration_hash(training),
            tokenizer_sha256=data.tokenizer_sha256,
            data_sha256=data.data_sha256,
            model=training.model.document() | {"vocabSize": data.tokenizer.vocab_size},
            parameters=material.model.parameter_count,
            training=training.document(),
            world_size=material.world.size,
        ),
        settings=terms.order.checkpoints,
    )


def _desk(
    terms: Terms,
    material: Material,
    state: LoopState,
    store: CheckpointStore,
    reporter: Reporter,
    *,
    resumed_step: int | None,
) -> Desk:
    part = material.data.training
    recorder = Recorder(
        terms.folder,
        reporter,
        plan=material.plan,
        scale=Scale(tokens=len(part.tokens), characters=part.characters, bytes_=part.bytes_),
        tokens_per_step=material.pace.tokens_per_step,
        attempt=terms.environment.attempt,
        resumed_step=resumed_step,
    )
    recorder.events.text("order", terms.order.text(), step=state.step)
    saving = Saving(
        store,
        reporter,
        snapshot=lambda: snapshot(
            material.model, material.stepper, state, max_steps=material.plan.max_steps
        ),
        attempt=terms.environment.attempt,
        parent_step=resumed_step,
    )
    return Desk(recorder=recorder, saving=saving)


def _announce(
    terms: Terms, material: Material, reporter: Reporter, *, resumed_step: int | None
) -> None:
    world, model, data = material.world, material.model, material.data
    name = torch.cuda.get_device_name() if world.device.type == "cuda" else "cpu"
    device = f"{world.size} x {name}, {material.threads} threads each"
    reporter.report(
        Started(
            time=now(),
            attempt=terms.environment.attempt,
            step=resumed_step or 0,
            max_steps=material.plan.max_steps,
            parameters=model.parameter_count,
            training_tokens=len(data.training.tokens),
            resumed_from_step=resumed_step,
            device=device,
        )
    )
    begins = "from the start" if resumed_step is None else f"resumed from step {resumed_step}"
    reporter.say(
        f"{terms.order.run.name}: {model.parameter_count:,} parameters, {len(data.training.tokens):,} training tokens, "
        f"{material.plan.max_steps} steps on {device}, {begins}"
    )


def _write_documents(terms: Terms, material: Material) -> None:
    """order.yaml, audit.json and the tokenizer."""
    order_path = terms.folder / layout.ORDER
    if not (order_path.exists() and order_path.samefile(terms.order_path)):
        write_atomically(order_path, terms.order.text())
    tokenizer_folder = terms.folder / layout.TOKENIZER
    with storage(tokenizer_folder):
        tokenizer_folder.mkdir(exist_ok=True)
        material.data.tokenizer.save(tokenizer_folder)
    document = _audit(terms, material, hashlib.sha256(order_path.read_bytes()).hexdigest())
    text = document.model_dump_json(by_alias=True, exclude_none=True, indent=1)
    write_atomically(terms.folder / layout.AUDIT, f"{text}\n")


def _audit(terms: Terms, material: Material, order_sha256: str) -> Audit:
    training, data = terms.order.training, material.data
    return Audit(
        run_name=terms.order.run.name,
        run_uid=terms.order.run.uid,
        attempt=terms.environment.attempt,
        started_time=terms.started_time,
        command=tuple(sys.argv[:256]),
        packages=audit.packages(),
        python=audit.python_version(),
        platform=audit.platform_name(),
        hardware=audit.hardware(threads=material.threads),
        git_commit=audit.git_commit(),
        image_digest=audit.image_digest(terms.variables),
        seeds=seeds_in_force(terms.variables, order_seed=training.seed),
        environment=audit.environment(),
        deterministic=torch.are_deterministic_algorithms_enabled(),
        data_root=str(terms.data_root.absolute()),
        order_sha256=order_sha256,
        configuration_hash=configuration_hash(training),
        data_sha256=data.data_sha256,
        tokenizer_sha256=data.tokenizer_sha256,
        training_tokens=len(data.training.tokens),
        validation_tokens=len(data.validation.tokens),
    )
