"""The model, judged as evaluation sees it: with averaged weights where the order asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lightgpt.data.prepared import PreparedData, TextPart
from lightgpt.evaluate import evaluate
from lightgpt.generate import sample_text
from lightgpt.model.gpt import GPT
from lightgpt.train.averaging import WeightAverage
from lightgpt.train.determinism import derived_seed
from lightgpt.train.step import precision
from lightgpt.train.verdict import judged
from lightgpt.train.world import World
from runcontract.losses import Loss
from runcontract.order import Training


class ModelJudge:
    """Validation losses and samples of the model in training."""

    def __init__(
        self,
        model: GPT,
        average: WeightAverage | None,
        data: PreparedData,
        training: Training,
        world: World,
    ) -> None:
        self._model = model
        self._average = average
        self._data = data
        self._training = training
        self._world = world

    def score(self, interrupted: Callable[[], bool]) -> Loss | None:
        """The validation loss; None when `interrupted` said so. Raises `DivergedError`."""
        return self.score_part(self._data.validation, interrupted)

    def score_part(
        self, part: TextPart, interrupted: Callable[[], bool] = lambda: False
    ) -> Loss | None:
        """The loss of any part; None when `interrupted` said so. Raises `DivergedError`."""
        training, device = self._training, self._world.device
        with self._as_evaluated():
            return evaluate(
                self._model,
                part,
                self._data.tokenizer,
                batch_size=training.evaluation.batch_size or training.batch_size,
                world=self._world,
                precision=lambda: precision(training, device),
                interrupted=interrupted,
            )

    def sample(self, step: int) -> str | None:
        """Text that the model writes, the same for the same step; None where none is wanted."""
        samples = self._training.samples
        if not samples.tokens:
            return None
        with self._as_evaluated():
            return sample_text(
                self._model,
                self._data.tokenizer,
                samples,
                seed=derived_seed(self._training.seed, "sample", step),
            )

    def ends_run(self, validation: Loss) -> bool:
        """Whether the target is met and the order says to stop then."""
        target = self._training.target
        if target is None or not target.stop_when_met or target.metric != "ValidationLoss":
            return False
        return judged(target, validation, self._data.facts).met

    @contextmanager
    def _as_evaluated(self) -> Iterator[None]:
        if self._average is None:
            yield
        else:
            with self._average.swapped():
                yield
