"""The target, judged: pure arithmetic over losses.

A loss per character or per byte means something only when every character is in it and the tokenizer has not seen the text
that it is measured on; with a lossy or leaked tokenizer such a target is not met, whatever the number.
"""

from __future__ import annotations

from runcontract.losses import Loss
from runcontract.order import Target
from runcontract.results import TargetVerdict, TokenizerFacts


def is_comparable(target: Target, tokenizer: TokenizerFacts) -> bool:
    """Whether a loss under `tokenizer` can meet `target` at all."""
    if target.unit == "NatsPerToken":
        return True
    return tokenizer.lossless and tokenizer.trained_on_training_part_only is not False


def judged(target: Target, loss: Loss | None, tokenizer: TokenizerFacts) -> TargetVerdict:
    """The verdict on `loss`; None was never scored and meets nothing."""
    reached = None if loss is None else loss.in_unit(target.unit)
    return TargetVerdict(
        metric=target.metric,
        unit=target.unit,
        at_most=target.at_most,
        reached=reached,
        met=reached is not None and reached <= target.at_most and is_comparable(target, tokenizer),
    )


def verdict_text(verdict: TargetVerdict, tokenizer: TokenizerFacts) -> str:
    """The verdict as a clause for people."""
    wanted = f"{verdict.metric} at most {verdict.at_most:g} {verdict.unit}"
    if verdict.reached is None:
        return f"target not met: {wanted}; nothing was scored"
    text = f"target {'met' if verdict.met else 'not met'}: {verdict.reached:.4f}, wanted {wanted}"
    if not verdict.met and verdict.reached <= verdict.at_most:
        why = "has seen the text it is scored on" if tokenizer.lossless else "loses characters"
        text += f"; the number does not count, because the tokenizer {why}"
    return text
