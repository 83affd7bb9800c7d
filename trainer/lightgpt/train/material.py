"""What every process of an attempt has: the terms it is under, the data, the model, and the means to move it.

Made in the order in which faults are cheapest to find; nothing of it is written anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lightgpt.data.cache_folder import default_cache_folder
from lightgpt.data.prepared import PreparedData, prepare
from lightgpt.data.stream import TrainingStream
from lightgpt.model.gpt import GPT
from lightgpt.train.batches import TrainingBatches
from lightgpt.train.determinism import make_deterministic, seed_everything
from lightgpt.train.heap import keep_freed_memory
from lightgpt.train.judge import ModelJudge
from lightgpt.train.loop_parts import Pace
from lightgpt.train.plan import Plan, make_plan
from lightgpt.train.step import Stepper
from lightgpt.train.world import World, use_threads
from runcontract.environment import AttemptEnvironment
from runcontract.order import Order


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
    if world.device.type == "cpu":
        keep_freed_memory(terms.variables)
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
