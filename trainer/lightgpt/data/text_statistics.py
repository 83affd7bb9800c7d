"""What prepared data looks like in numbers, for people and for programs."""

from __future__ import annotations

from pydantic import Field

from lightgpt.data.index import PartIndex, PartName
from lightgpt.data.prepared import PreparedData
from runcontract.base import ReportModel
from runcontract.results import TokenizerFacts


class PartStatistics(ReportModel):
    """One part of the text."""

    name: PartName = Field(description="Which part.")
    tokens: int = Field(description="Tokens.")
    characters: int = Field(description="Unicode characters.")
    bytes_utf8: int = Field(description="UTF-8 bytes.")
    characters_per_token: float = Field(description="Characters that one token stands for.")
    bytes_per_token: float = Field(description="UTF-8 bytes that one token stands for.")
    vocabulary_used: int = Field(description="Different tokens that occur.")
    unknown_tokens: int = Field(description="Tokens that stand for unknown characters.")
    round_trip_exact: bool = Field(description="Whether decoding gave the text back.")


class DataStatistics(ReportModel):
    """Tokens, tokenizer and hashes."""

    tokenizer: TokenizerFacts = Field(description="The tokenizer.")
    data_sha256: str = Field(description="Hash of the whole text.")
    token_type: str = Field(description="Type of a stored token.")
    folder: str = Field(description="Where the shards and the tokenizer lie.")
    parts: tuple[PartStatistics, ...] = Field(description="The parts.")

    def text(self) -> str:
        """The numbers as a table and lines, for a person."""
        facts = self.tokenizer
        lossless = "lossless" if facts.lossless else "NOT lossless"
        rows = [_HEADER, *(_row(part, facts.vocab_size) for part in self.parts)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
        lines = [
            f"{row[0]:<{widths[0]}}  "
            + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
            for row in rows
        ]
        return "\n".join(
            [
                f"tokenizer  {facts.type}, {facts.vocab_size} entries, {lossless}, {_trained_on(facts)}",
                f"           SHA-256 {facts.sha256}",
                f"text       SHA-256 {self.data_sha256}",
                f"folder     {self.folder} ({self.token_type})",
                "",
                *lines,
            ]
        )


_HEADER = ("part", "tokens", "characters", "chars/token", "bytes/token", "used", "unknown", "exact")


def statistics_of(data: PreparedData) -> DataStatistics:
    """The statistics of `data`; nothing is read but its index."""
    return DataStatistics(
        tokenizer=data.facts,
        data_sha256=data.data_sha256,
        token_type=data.index.dtype,
        folder=str(data.folder),
        parts=tuple(_part(part) for part in data.index.parts),
    )


def _part(part: PartIndex) -> PartStatistics:
    tokens = max(part.tokens, 1)
    return PartStatistics(
        name=part.name,
        tokens=part.tokens,
        characters=part.characters,
        bytes_utf8=part.byte_count,
        characters_per_token=round(part.characters / tokens, 4),
        bytes_per_token=round(part.byte_count / tokens, 4),
        vocabulary_used=part.vocabulary_used,
        unknown_tokens=part.unknown_tokens,
        round_trip_exact=part.exact,
    )


def _row(part: PartStatistics, vocab_size: int) -> tuple[str, ...]:
    return (
        part.name,
        f"{part.tokens:,}",
        f"{part.characters:,}",
        f"{part.characters_per_token:.3f}",
        f"{part.bytes_per_token:.3f}",
        f"{part.vocabulary_used:,} ({part.vocabulary_used / vocab_size:.0%})",
        f"{part.unknown_tokens:,}",
        "yes" if part.round_trip_exact else "NO",
    )


def _trained_on(facts: TokenizerFacts) -> str:
    match facts.trained_on_training_part_only:
        case True:
            return "made from the training part only"
        case False:
            return "made from more than the training part"
        case None:
            return "from a file: what it was made from is not known"
