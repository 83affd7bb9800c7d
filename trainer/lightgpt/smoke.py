"""The smoke test: does training work on this machine? A tiny model must learn one batch by heart in a few steps.

The model is the ready configuration gpt-116k with a vocabulary of 256 (115 thousand parameters), the batch random tokens: what
it learns can only be the batch. The bars are those that the test had before us, when AdamW was all it used; the recipe is Muon
with AdamW for the embedding, which leaves them far behind.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lightgpt.model.gpt import GPT
from lightgpt.train.optimizer import RunOptimizer
from runcontract.order import Model, Optimizer

VOCABULARY = 256
SEQUENCES = 8
STEPS = 20
LEAST_MEAN_REDUCTION = 0.487
LEAST_REDUCTION = 0.40

RECIPE = Optimizer(
    type="Muon",
    learning_rate=0.03,
    embedding_learning_rate=0.03,
    scalar_learning_rate=0.004,
    beta1=0.8,
    epsilon=1e-10,
    weight_decay=0.0,
)


@dataclass(frozen=True, kw_only=True)
class SmokeRun:
    """One seed's losses, in nats per token, before the first and after the last step."""

    seed: int
    first_loss: float
    last_loss: float
    seconds: float

    @property
    def reduction(self) -> float:
        """Share of the first loss that is gone."""
        return 1 - self.last_loss / self.first_loss

    @property
    def passed(self) -> bool:
        """Whether this seed alone fell far enough."""
        return math.isfinite(self.last_loss) and self.reduction >= LEAST_REDUCTION


@dataclass(frozen=True, kw_only=True)
class SmokeVerdict:
    """All seeds, judged."""

    parameters: int
    runs: tuple[SmokeRun, ...]

    @property
    def mean_reduction(self) -> float:
        """Mean share of the first loss that is gone."""
        return sum(run.reduction for run in self.runs) / len(self.runs)

    @property
    def passed(self) -> bool:
        """Whether the mean and every seed fell far enough."""
        return self.mean_reduction >= LEAST_MEAN_REDUCTION and all(run.passed for run in self.runs)


def smoke(seeds: Sequence[int], *, recipe: Optimizer = RECIPE, steps: int = STEPS) -> SmokeVerdict:
    """Trains one model for each seed."""
    config = Model.model_validate({"preset": "gpt-116k"})
    runs = tuple(_run(config, seed, recipe, steps) for seed in seeds)
    return SmokeVerdict(parameters=GPT(config, VOCABULARY).parameter_count, runs=runs)


def _run(config: Model, seed: int, recipe: Optimizer, steps: int) -> SmokeRun:
    began_s = time.perf_counter()
    model = GPT(config, VOCABULARY)
    model.initialize(seed)
    optimizer = RunOptimizer(model, recipe)
    generator = torch.Generator().manual_seed(seed)
    tokens_BT = torch.randint(
        VOCABULARY, (SEQUENCES, config.context_length + 1), generator=generator
    )
    inputs_BT, targets_BT = tokens_BT[:, :-1], tokens_BT[:, 1:]
    first = float(model.loss(inputs_BT, targets_BT).item())
    for step in range(steps):
        model.loss(inputs_BT, targets_BT).backward()
        optimizer.clip()
        optimizer.step(factor=1.0, step=step)
    last = float(model.loss(inputs_BT, targets_BT).item())
    return SmokeRun(
        seed=seed, first_loss=first, last_loss=last, seconds=time.perf_counter() - began_s
    )
