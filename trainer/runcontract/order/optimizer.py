"""How the weights are moved: optimizer, schedule of the learning rate, averaging of weights."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from runcontract.base import ContractModel, FieldFault, refuse


class Optimizer(ContractModel):
    """AdamW for everything, or Muon for the blocks' matrices and AdamW for the rest."""

    type: Literal["AdamW", "Muon"] = Field(
        default="AdamW",
        description="AdamW for all parameters, or Muon for the matrices inside the blocks and AdamW for the rest.",
    )
    learning_rate: float = Field(
        default=3e-4,
        gt=0,
        le=10,
        description="Peak learning rate: of all parameters (AdamW) or of the blocks' matrices (Muon).",
    )
    embedding_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="AdamW's learning rate for embeddings and tables. As learningRate when not given.",
    )
    head_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="AdamW's learning rate for an untied output layer. As learningRate when not given.",
    )
    scalar_learning_rate: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="AdamW's learning rate for gains, biases and other vectors. As headLearningRate, else learningRate, when not given.",
    )
    beta1: float = Field(default=0.9, ge=0, lt=1, description="AdamW's decay of the first moment.")
    beta2: float = Field(
        default=0.95, ge=0, lt=1, description="AdamW's decay of the second moment."
    )
    epsilon: float = Field(default=1e-8, gt=0, le=1e-2, description="Added to AdamW's denominator.")
    weight_decay: float = Field(
        default=0.1,
        ge=0,
        le=10,
        description="Decoupled weight decay of matrices and embeddings (AdamW) or of the blocks' matrices (Muon); never of gains and biases.",
    )
    embedding_weight_decay: float | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Decoupled weight decay of embeddings and the output layer. With AdamW as weightDecay, with Muon 0, when not given.",
    )
    momentum: float = Field(
        default=0.95, ge=0, lt=1, description="Muon's momentum (Nesterov) at its full value."
    )
    momentum_start: float = Field(
        default=0.85, ge=0, lt=1, description="Muon's momentum at the first step."
    )
    momentum_warmup_steps: int = Field(
        default=300,
        ge=0,
        le=1_000_000,
        description="Steps over which Muon's momentum rises linearly from momentumStart to momentum.",
    )
    orthogonalization_steps: int = Field(
        default=5, ge=1, le=12, description="Iterations of Muon's polar decomposition."
    )
    gradient_clip_norm: float = Field(
        default=1.0, ge=0, le=1e6, description="Largest global gradient norm; 0 for no clipping."
    )


class Schedule(ContractModel):
    """The learning rate over the run, as a factor of its peak."""

    type: Literal["Constant", "Cosine", "WarmupStableDecay"] = Field(
        default="Cosine",
        description="Constant; Cosine from peak to end; WarmupStableDecay: constant, then linear to the end over the last decayFraction.",
    )
    warmup_steps: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        description="Steps over which the rate rises linearly from zero to its peak.",
    )
    final_fraction: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="The rate at the end, as a share of its peak. Not used by Constant.",
    )
    decay_fraction: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Share of all steps at the end over which WarmupStableDecay falls.",
    )

    @model_validator(mode="after")
    def _constant_has_no_end(self) -> Schedule:
        given = self.model_fields_set
        refuse(
            FieldFault(
                field="decayFraction",
                found=self.decay_fraction,
                expected="nothing: only WarmupStableDecay has it",
            )
            if self.type != "WarmupStableDecay"
            and "decay_fraction" in given
            and self.decay_fraction != 0.2
            else None,
        )
        return self


class Averaging(ContractModel):
    """An exponential moving average of the weights, which evaluation and the final checkpoint use."""

    decay: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the average that a step keeps; 0 switches averaging off.",
    )
    start_step: int = Field(
        default=0, ge=0, le=10_000_000, description="Step at which averaging begins."
    )
