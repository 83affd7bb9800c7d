"""What text cannot be trained on, found before any time is paid for. Checks only: each returns or raises `DataFault`."""

from __future__ import annotations

from lightgpt.data.index import PartName
from lightgpt.data.opened import PreparedData, TextPart
from lightgpt.data.split import TextParts
from runcontract.faults import DataFault, Fault
from runcontract.order import Training


def refuse_empty_parts(parts: TextParts, training: Training) -> None:
    """Every part that the order wants must have text."""
    named = {"training": parts.training, "validation": parts.validation}
    if training.data.test_fraction:
        named["test"] = parts.test
    empty = [name for name, text in named.items() if not text.strip()]
    if empty:
        raise DataFault(
            Fault(
                where="training.data",
                found=f"{sum(map(len, parts))} characters, which leave no text for {' and '.join(empty)}",
                expected="text in every part",
                action="Give more text or larger fractions.",
            )
        )


def refuse_short_parts(prepared: PreparedData, training: Training) -> None:
    """The training part must hold a context and the token behind it; a scored part, a token to score."""
    context_length = training.model.context_length
    found = len(prepared.training.tokens)
    if found <= context_length:
        raise DataFault(
            Fault(
                where="training.model.contextLength",
                found=f"{context_length}, and {found} tokens in the training part",
                expected="fewer tokens than the training part has",
                action="Give more text or a shorter context.",
            )
        )
    scored: tuple[tuple[PartName, TextPart | None], ...] = (
        ("validation", prepared.validation),
        ("test", prepared.test),
    )
    for name, part in scored:
        if part is not None and len(part.tokens) < 2:
            raise DataFault(
                Fault(
                    where=f"training.data.{name}Fraction",
                    found=f"{len(part.tokens)} tokens in the {name} part",
                    expected="at least 2: the first is not scored",
                    action="Give more text or a larger fraction.",
                )
            )


def refuse_prompt(prepared: PreparedData, training: Training) -> None:
    """The samples' prompt must be text for this tokenizer; otherwise the first evaluation would find out."""
    if not training.samples.tokens:
        return
    try:
        ids = prepared.tokenizer.encode(training.samples.prompt)
    except DataFault as error:
        raise DataFault(
            Fault(
                where="training.samples.prompt",
                found=error.faults[0].found,
                expected="text that the tokenizer can encode",
            )
        ) from error
    if not len(ids):
        raise DataFault(
            Fault(
                where="training.samples.prompt",
                found=repr(training.samples.prompt),
                expected="text of at least one token",
            )
        )
