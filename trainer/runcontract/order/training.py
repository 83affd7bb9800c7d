"""The trainer's configuration: the document under `spec.training` of a TrainingRun."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from runcontract.base import ContractModel, FieldFault, refuse
from runcontract.order.data import Data
from runcontract.order.evaluation import EarlyStopping, Evaluation, Samples, Target
from runcontract.order.model import Model
from runcontract.order.optimizer import Averaging, Optimizer, Schedule
from runcontract.order.tokenizer import Tokenizer


class Training(ContractModel):
    """One training, in full. Everything but `data` and a length (`maxSteps` or `maxEpochs`) has a default."""

    seed: int = Field(
        default=1337,
        ge=0,
        le=2**31 - 1,
        description="Seed of every generator: weights, data order, dropout, samples.",
    )
    data: Data = Field(description="Which text is learned and how it is parted.")
    tokenizer: Tokenizer = Field(default=Tokenizer(), description="How text becomes tokens.")
    model: Model = Field(default=Model(), description="The model's shape.")
    optimizer: Optimizer = Field(default=Optimizer(), description="How the weights are moved.")
    schedule: Schedule = Field(default=Schedule(), description="The learning rate over the run.")
    averaging: Averaging = Field(default=Averaging(), description="Averaging of the weights.")
    max_steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Optimizer steps of the run. One of maxSteps and maxEpochs is required.",
    )
    max_epochs: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Passes over the training part. One of maxSteps and maxEpochs is required.",
    )
    batch_size: int = Field(
        default=8,
        ge=1,
        le=65_536,
        description="Sequences that one forward pass reads, over all processes together.",
    )
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, le=4096, description="Forward passes whose gradients make one step."
    )
    precision: Literal["FP32", "BF16", "Auto"] = Field(
        default="FP32",
        description="FP32, or activations in bfloat16 with master weights in FP32. "
        "Auto: BF16 where the processor or GPU computes in it, else FP32; numbers then differ between such machines.",
    )
    compile: bool = Field(
        default=False,
        description="Compile the model with torch.compile; pays after some hundred steps. Needs a C++ compiler on CPU.",
    )
    subword_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of BPE merges left out at random when training text is encoded, anew for each pass "
        "over it (BPE-dropout). Heals that text the tokenizer was trained on is cut better than unseen text.",
    )
    subword_dropout_final: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Share at the end of the run, reached linearly pass by pass. As subwordDropout when not given.",
    )
    evaluation: Evaluation = Field(
        default=Evaluation(), description="Scoring of the validation part."
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="The end of a run that no longer improves. Off when not given."
    )
    samples: Samples = Field(
        default=Samples(), description="Text that the model writes as it learns."
    )
    target: Target | None = Field(default=None, description="What the run is to reach.")

    @model_validator(mode="after")
    def _parts_fit(self) -> Training:
        test_part = self.data.test_fraction
        refuse(
            FieldFault(
                field="maxSteps",
                found=self.max_steps,
                expected="exactly one of maxSteps and maxEpochs",
            )
            if (self.max_steps is None) == (self.max_epochs is None)
            else None,
            FieldFault(
                field="schedule.warmupSteps",
                found=self.schedule.warmup_steps,
                expected=f"at most maxSteps {self.max_steps}",
            )
            if self.max_steps is not None and self.schedule.warmup_steps > self.max_steps
            else None,
            FieldFault(
                field="target.metric",
                found="TestLoss",
                expected="ValidationLoss, since data.testFraction is 0",
            )
            if self.target is not None and self.target.metric == "TestLoss" and test_part == 0
            else None,
            FieldFault(
                field="data.validationFraction",
                found=self.data.validation_fraction,
                expected=f"at most half of the text together with testFraction {test_part}",
            )
            if self.data.validation_fraction + test_part > 0.5
            else None,
            FieldFault(
                field="subwordDropout",
                found=self.subword_dropout,
                expected="0: only a BPE tokenizer has merges to leave out",
            )
            if max(self.subword_dropout, self.subword_dropout_final or 0) > 0
            and self.tokenizer.type != "BPE"
            else None,
        )
        return self
