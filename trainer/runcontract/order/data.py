"""Which text a run learns from, and how it is parted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from runcontract.base import ContractModel, FieldFault, refuse

DatasetName = Literal["tinyshakespeare", "shakespeare-plays"]
_Pattern = Annotated[str, StringConstraints(max_length=1024)]


class Data(ContractModel):
    """The text and its parts: training first, then validation, then test, contiguous and in the order of the text."""

    dataset: DatasetName | None = Field(
        default=None,
        description="A named data set. `tinyshakespeare` (1.1 MB) is downloaded once; `shakespeare-plays` (5.4 MB) is installed with the trainer.",
    )
    files: tuple[_Pattern, ...] = Field(
        default=(),
        max_length=64,
        description="Text files in UTF-8 as paths or globs, relative to the folder of the YAML file; read in the order given, globs sorted.",
    )
    validation_fraction: float = Field(
        default=0.05,
        gt=0,
        le=0.5,
        description="Share of the characters, after the training part, that validation scores.",
    )
    test_fraction: float = Field(
        default=0.05,
        ge=0,
        le=0.5,
        description="Share of the characters, at the end, scored once when the run is over. 0 for none.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        refuse(
            FieldFault(
                field="dataset",
                found=self.dataset,
                expected="either a data set or `files`",
                action="Give exactly one of data.dataset and data.files.",
            )
            if (self.dataset is None) == (not self.files)
            else None,
        )
        return self
