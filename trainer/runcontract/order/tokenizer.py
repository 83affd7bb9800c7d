"""How text becomes tokens."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from runcontract.base import ContractModel, FieldFault, refuse


class Tokenizer(ContractModel):
    """A tokenizer to train on the training part, or a SentencePiece model to take as it is."""

    type: Literal["BPE", "Unigram", "Byte", "Character"] = Field(
        default="BPE",
        description="BPE and Unigram are SentencePiece models; Byte has 256 tokens; Character one for each character of the training part.",
    )
    vocab_size: int | None = Field(
        default=None,
        ge=8,
        le=262_144,
        description="Pieces of a BPE or Unigram vocabulary, 1024 when not given. Byte and Character have the size they have.",
    )
    lossless: bool = Field(
        default=True,
        description="Keep every character, so that decoding gives the text back. False: SentencePiece's defaults, which turn newlines into spaces.",
    )
    byte_fallback: bool = Field(
        default=False,
        description="Spend 256 pieces on bytes so that characters unseen in training can be encoded. Wanted for text that is not ASCII.",
    )
    character_coverage: float = Field(
        default=1.0,
        ge=0.98,
        le=1.0,
        description="Share of the training text's characters that get a piece of their own.",
    )
    split_by_whitespace: bool = Field(
        default=True, description="No piece reaches over white space."
    )
    path: str | None = Field(
        default=None,
        max_length=1024,
        description="A trained SentencePiece model file to use instead, relative to the folder of the YAML file.",
    )

    @property
    def pieces(self) -> int:
        """The size asked for of a BPE or Unigram vocabulary."""
        return self.vocab_size or 1024

    @model_validator(mode="after")
    def _size_only_where_it_is_a_choice(self) -> Tokenizer:
        fixed = self.type in {"Byte", "Character"}
        refuse(
            FieldFault(
                field="vocabSize",
                found=self.vocab_size,
                expected=f"nothing: a {self.type} tokenizer has the size it has",
            )
            if fixed and self.vocab_size is not None
            else None,
            FieldFault(
                field="path",
                found=self.path,
                expected=f"nothing with type {self.type}: only SentencePiece models are read",
            )
            if fixed and self.path is not None
            else None,
            FieldFault(
                field="vocabSize",
                found=self.vocab_size,
                expected="nothing beside `path`: the file has its own size",
            )
            if not fixed and self.path is not None and self.vocab_size is not None
            else None,
            FieldFault(
                field="vocabSize",
                found=self.vocab_size,
                expected="at least 300 with byteFallback, which spends 256 pieces on bytes",
            )
            if not fixed
            and self.byte_fallback
            and self.vocab_size is not None
            and self.vocab_size < 300
            else None,
        )
        return self
