"""Expected time and cost before the start: from measured speed where there is any, else from a stated rough model.

The rough model: a training step costs 6 operations for each token and each weight that is multiplied, and 12 x layers x width x
context for attention; a device does a stated share of what its maker promises. It is right within a factor of two or three,
and says so. Start-up, evaluation and saving are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lightcompute.api.money import MicroUSD, charge, show_usd
from lightcompute.api.status import TrainingRunStatus
from lightcompute.core.text import span
from runcontract.order import Model, Training

SHARE_OF_PEAK = 0.35
"""What a well fed GPU reaches of its peak in training."""
CPU_FLOPS_PER_THREAD = 5.0e10
"""Reached end to end by one thread of a server's processor, FP32; twice that in BF16 where it has the instructions."""

_PEAK_FLOPS: dict[str, tuple[float, float]] = {
    # Dense, from the makers' data sheets: FP32 (TF32 is off unless asked for), BF16 tensor cores.
    "A100-40GB": (19.5e12, 312e12),
    "A100-80GB": (19.5e12, 312e12),
    "H100-80GB": (67e12, 989e12),
    "L40S": (91.6e12, 362e12),
    "A10": (31.2e12, 125e12),
    "L4": (30.3e12, 121e12),
    "T4": (8.1e12, 8.1e12),
}
_CHARACTERS = {"tinyshakespeare": 1_115_394, "shakespeare-plays": 5_400_000}


class Basis(StrEnum):
    """What an estimate rests on."""

    MEASURED = "Measured"
    ROUGH_MODEL = "RoughModel"


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Expected length of a run, all steps in one go; early stopping and a met target end it sooner."""

    basis: Basis
    steps: int
    tokens: int
    tokens_per_second: float
    seconds: float
    cost: MicroUSD

    def __str__(self) -> str:
        rests = {
            Basis.MEASURED: f"at {self.tokens_per_second:,.0f} tokens/s as measured before",
            Basis.ROUGH_MODEL: f"at {self.tokens_per_second:,.0f} tokens/s by a rough model, which may be off by a factor of three",
        }
        return f"about {span(self.seconds)} and {show_usd(self.cost)} for {self.steps:,} steps, {rests[self.basis]}"


def estimate(
    training: Training,
    *,
    rate: MicroUSD,
    measured_tokens_per_second: float | None = None,
    flops: float | None = None,
    training_tokens: int | None = None,
) -> Estimate | None:
    """Time and cost of `training` at `rate` an hour; None when neither speed nor length can be told.

    `flops` is what the devices reach together (`gpu_flops`, `cpu_flops`); `training_tokens` is the length of the text, where known.
    """
    steps = expected_steps(training, training_tokens)
    speed, basis = measured_tokens_per_second, Basis.MEASURED
    if speed is None and flops is not None:
        speed, basis = flops / flops_per_token(training), Basis.ROUGH_MODEL
    if steps is None or speed is None or speed <= 0:
        return None
    tokens = steps * tokens_per_step(training)
    seconds = tokens / speed
    bounded = timedelta(seconds=min(seconds, 1e9))
    return Estimate(
        basis=basis,
        steps=steps,
        tokens=tokens,
        tokens_per_second=speed,
        seconds=seconds,
        cost=charge(rate, bounded),
    )


def measured_speed(status: TrainingRunStatus) -> float | None:
    """Tokens a second of the newest attempt that told any, or None."""
    speeds = [attempt.tokens_per_second for attempt in status.attempts]
    return next((speed for speed in reversed(speeds) if speed), None)


def gpu_flops(gpu_type: str, devices: int, training: Training) -> float | None:
    """What `devices` of this type reach together; None for a type that is not in the table."""
    peaks = _PEAK_FLOPS.get(gpu_type)
    return None if peaks is None else SHARE_OF_PEAK * devices * peaks[training.precision != "FP32"]


def cpu_flops(threads: int, training: Training) -> float:
    """What `threads` of a server's processor reach together."""
    return CPU_FLOPS_PER_THREAD * threads * (2 if training.precision != "FP32" else 1)


def tokens_per_step(training: Training) -> int:
    """Tokens that one optimizer step reads."""
    sequences = training.batch_size * training.gradient_accumulation_steps
    return sequences * training.model.context_length


def expected_steps(training: Training, training_tokens: int | None = None) -> int | None:
    """Steps of the whole run; from the length of the text for maxEpochs, None where that is not known."""
    if training.max_steps is not None:
        return training.max_steps
    tokens = training_tokens if training_tokens is not None else _tokens_of(training)
    if tokens is None or training.max_epochs is None:
        return None
    return max(1, tokens // tokens_per_step(training)) * training.max_epochs


def flops_per_token(training: Training) -> float:
    """Operations of forward and backward for one token: 6 for each multiplied weight, and attention."""
    model = training.model
    attention = 12 * model.layers * model.heads * model.head_width * model.context_length
    return 6.0 * multiplied_weights(model, _vocabulary(training)) + attention


def multiplied_weights(model: Model, vocab_size: int) -> int:
    """Weights that every token is multiplied with: the blocks' matrices and the output layer, not the looked-up tables."""
    width, inner = model.embedding_size, model.heads * model.head_width
    kv_inner = model.key_value_heads * model.head_width
    gates = 3 if model.mlp in {"SwiGLU", "GeGLU"} else 2
    block = width * (2 * inner + 2 * kv_inner) + gates * width * model.mlp_width
    return model.layers * block + vocab_size * width


def _vocabulary(training: Training) -> int:
    match training.tokenizer.type:
        case "Byte":
            return 256
        case "Character":
            return 100
        case "BPE" | "Unigram":
            return training.tokenizer.pieces


def _tokens_of(training: Training) -> int | None:
    """Roughly the training part of a named data set, in tokens."""
    characters = _CHARACTERS.get(training.data.dataset or "")
    if characters is None:
        return None
    data = training.data
    share = 1 - data.validation_fraction - data.test_fraction
    per_token = 1.0
    if training.tokenizer.type in {"BPE", "Unigram"}:
        # 2.4 characters at 1,024 pieces, half a character more for each doubling after: measured on Shakespeare.
        doublings = max(0, training.tokenizer.pieces.bit_length() - 11)
        per_token = 2.4 + 0.45 * doublings
    return int(characters * share / per_token)
