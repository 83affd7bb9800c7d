"""A loss with its unit, always: nats per token mean nothing across tokenizers, nats per character and bits per byte do."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from runcontract.base import ReportModel

LossUnit = Literal["NatsPerToken", "NatsPerCharacter", "BitsPerByte"]


class Loss(ReportModel):
    """Mean negative log likelihood of a text, in three units."""

    nats_per_token: float = Field(description="Mean over the scored tokens, in nats.")
    nats_per_character: float = Field(
        description="Sum in nats over the number of Unicode characters of the text."
    )
    bits_per_byte: float = Field(
        description="Sum in bits over the number of UTF-8 bytes of the text."
    )

    def in_unit(self, unit: LossUnit) -> float:
        """The value in `unit`."""
        match unit:
            case "NatsPerToken":
                return self.nats_per_token
            case "NatsPerCharacter":
                return self.nats_per_character
            case "BitsPerByte":
                return self.bits_per_byte


def loss_from_sum(*, sum_nats: float, tokens: int, characters: int, bytes_: int) -> Loss:
    """The loss of a text whose tokens cost `sum_nats` together.

    Raises ValueError when a count is not positive: a loss over nothing is not zero.
    """
    if min(tokens, characters, bytes_) <= 0:
        raise ValueError(
            f"a loss needs text: {tokens} tokens, {characters} characters, {bytes_} bytes"
        )
    return Loss(
        nats_per_token=sum_nats / tokens,
        nats_per_character=sum_nats / characters,
        bits_per_byte=sum_nats / math.log(2) / bytes_,
    )
