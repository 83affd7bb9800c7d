"""One attempt at an order: the loop with all that it writes to, where the newest checkpoint left it.

Nothing is written to the output folder before the order, the data and the model are known to fit together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import torch

from lightgpt.checkpoint.identity import CheckpointIdentity
from lightgpt.checkpoint.store import CheckpointStore
from lightgpt.train.documents import write_documents
from lightgpt.train.files import storage
from lightgpt.train.interval import SaveInterval
from lightgpt.train.loop import Loop
from lightgpt.train.loop_parts import Desk
from lightgpt.train.material import Material, Terms
from lightgpt.train.recorder import Recorder, Scale
from lightgpt.train.reports import Reporter, now, open_progress
from lightgpt.train.requests import Requests
from lightgpt.train.saving import Saving
from lightgpt.train.snapshots import restore, share, snapshot
from lightgpt.train.state import LoopState
from lightgpt.train.stopping import Deadline, StopSignals
from runcontract import folder as layout
from runcontract.environment import S3_CREDENTIALS
from runcontract.order import configuration_hash
from runcontract.progress import Described, Started

if TYPE_CHECKING:
    from lightgpt.vault.objects import Objects


@contextmanager
def open_loop(
    terms: Terms,
    material: Material,
    signals: StopSignals,
    deadline: Deadline,
    requests: Requests,
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
            audit = write_documents(terms, material)
            journal = open_progress(terms.folder, resumed_step=state.step)
            reporter = Reporter(journal=journal)
            recorder = _recorder(terms, material, state, reporter, resumed_step=resumed)
            saving = _saving(terms, material, state, store, reporter, resumed_step=resumed)
            desk = Desk(recorder=recorder, saving=saving, requests=requests)
            _announce(terms, material, reporter, resumed_step=resumed)
            reporter.report(Described.of(audit, time=now(), step=state.step))
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
        objects=_objects(terms),
    )


def _objects(terms: Terms) -> Objects | None:
    bucket = terms.order.storage.s3
    if bucket is None:
        return None
    # Loading the library takes a third of a second.
    from lightgpt.vault.objects import opened_bucket

    return opened_bucket(bucket, terms.variables.get(S3_CREDENTIALS))


def _recorder(
    terms: Terms,
    material: Material,
    state: LoopState,
    reporter: Reporter,
    *,
    resumed_step: int | None,
) -> Recorder:
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
    return recorder


def _saving(
    terms: Terms,
    material: Material,
    state: LoopState,
    store: CheckpointStore,
    reporter: Reporter,
    *,
    resumed_step: int | None,
) -> Saving:
    return Saving(
        store,
        reporter,
        snapshot=lambda: snapshot(
            material.model, material.stepper, state, max_steps=material.plan.max_steps
        ),
        interval=SaveInterval(material.plan.save_every_s, clock=monotonic),
        attempt=terms.environment.attempt,
        parent_step=resumed_step,
    )


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
