"""The index file of prepared data: what the shards hold, from what they were made, and how it came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError

from lightgpt.data.shards import Shard
from runcontract.base import ContractModel
from runcontract.faults import DataFault, Fault
from runcontract.results import TokenizerFacts

INDEX_FILE = "index.json"
FORMAT: Final = 1
PartName = Literal["training", "validation", "test"]


class PartIndex(ContractModel):
    """One part of the text as tokens."""

    name: PartName = Field(description="Which part.")
    tokens: int = Field(ge=0, description="Tokens of the part.")
    characters: int = Field(ge=0, description="Characters of its text.")
    byte_count: int = Field(ge=0, description="UTF-8 bytes of its text.")
    unknown_tokens: int = Field(ge=0, description="Tokens that stand for unknown characters.")
    vocabulary_used: int = Field(ge=0, description="Different tokens that occur.")
    exact: bool = Field(
        description="Whether encoding and decoding gave back every character of this part."
    )
    shards: tuple[Shard, ...] = Field(description="Its files, in order.")


class DataIndex(ContractModel):
    """`index.json`. It is written last, and the folder is renamed into place after it."""

    format: Literal[1] = Field(default=1, description="Version of this form.")
    dtype: Literal["uint16", "uint32"] = Field(description="Type of a token, little-endian.")
    source_sha256: str = Field(description="Hash of the whole text.")
    tokenizer: TokenizerFacts = Field(description="What the tokenizer is.")
    tokenizer_file: str = Field(description="Name of the tokenizer's file.")
    settings: dict[str, Any] = Field(description="What the data was made from and with.")
    parts: tuple[PartIndex, ...] = Field(description="The parts.")

    def part(self, name: PartName) -> PartIndex | None:
        """The part called `name`, if there is one."""
        return next((part for part in self.parts if part.name == name), None)

    def text(self) -> str:
        """The index as JSON."""
        return json.dumps(self.document(), indent=1, ensure_ascii=False) + "\n"


def read_index(folder: Path) -> DataIndex:
    """The index in `folder`; raises `DataFault` where there is none that can be read."""
    path = folder / INDEX_FILE
    try:
        return DataIndex.model_validate_json(path.read_bytes())
    except OSError as error:
        found = error.strerror or str(error)
    except ValidationError as error:
        found = f"{error.error_count()} faults, the first: {error.errors()[0]['msg']}"
    raise DataFault(Fault(where=str(path), found=found, expected="the index of prepared data"))
