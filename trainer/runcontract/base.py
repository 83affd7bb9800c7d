"""The common behaviour of every model in the contract: camelCase outside, snake_case inside, frozen, nothing unknown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

ApiVersion = Literal["lightcompute.dev/v1alpha1"]
API_VERSION: Final = "lightcompute.dev/v1alpha1"
FIELD_FAULTS = "field_faults"
"""Type of the pydantic error that carries `FieldFault`s in its context."""


def document_key(name: str) -> str:
    """The key in a document of the field `name`: camelCase, with `USD` and, not at its beginning, `GPU` as the words are written."""
    key = to_camel(name).replace("Gpu", "GPU")
    return f"{key[:-3]}USD" if key.endswith("Usd") else key


class ContractModel(BaseModel):
    """A frozen value whose documents use camelCase keys, as Kubernetes does.

    Unknown keys are refused and so are NaN and infinity: a document that cannot be read in full is not obeyed in part.
    """

    model_config = ConfigDict(
        alias_generator=document_key,
        validate_by_alias=True,
        validate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
    )

    def document(self) -> dict[str, Any]:
        """The value as plain JSON types under camelCase keys, without the keys that say nothing (None)."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ReportModel(ContractModel):
    """A value that the trainer writes and others read.

    Readers may be older than the writer (an operator is not upgraded at the same moment as a trainer image), so keys
    that the reader does not know are dropped here instead of refused.
    """

    model_config = ConfigDict(extra="ignore")


@dataclass(frozen=True, kw_only=True)
class FieldFault:
    """A fault between fields of one model; `field` is the camelCase key that it is told of."""

    field: str
    found: object
    expected: str
    action: str = ""


def refuse(*faults: FieldFault | None) -> None:
    """Raises, from a model validator, the faults among `faults`; None stands for a check that passed."""
    found = [asdict(fault) for fault in faults if fault is not None]
    if found:
        text = "; ".join(
            f"{fault['field']}: found {fault['found']!r}, expected {fault['expected']}"
            for fault in found
        )
        raise PydanticCustomError(FIELD_FAULTS, "{text}", {"text": text, "faults": found})
