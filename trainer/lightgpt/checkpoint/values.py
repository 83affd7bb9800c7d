"""What the values of a tensor look like, learned from its bytes in pieces, so that a tensor of any size needs the same memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lightgpt.checkpoint.tensor_file import TORCH_DTYPES, TensorEntry

_WHOLE_NUMBERS: dict[str, type[np.generic]] = {
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.uint8,
}  # fmt: skip
_WIDENED = {"F8_E4M3", "F8_E5M2"}
"""Types that PyTorch stores and does not compare."""


@dataclass(frozen=True, kw_only=True)
class TensorValues:
    """Counts over all values; `minimum` and `maximum` over the finite ones, None when there are none.

    `examined` is False for a type that cannot be read here; its other fields say nothing then.
    """

    examined: bool
    nan: int
    infinite: int
    minimum: float | None
    maximum: float | None

    @property
    def is_all_zero(self) -> bool:
        """Whether there are values and each is zero."""
        return self.nan == self.infinite == 0 and self.minimum == self.maximum == 0


class ValueScan:
    """Takes the bytes of one tensor, a whole number of values at a time."""

    def __init__(self, entry: TensorEntry) -> None:
        self._dtype = entry.dtype
        self._nan = 0
        self._infinite = 0
        self._minimum = math.inf
        self._maximum = -math.inf

    @property
    def is_float(self) -> bool:
        """Whether the type has fractions, and so NaN and infinity."""
        return self._dtype not in _WHOLE_NUMBERS

    def add(self, data: Tensor) -> None:
        """Looks at `data`, the next bytes of the tensor."""
        if whole_number := _WHOLE_NUMBERS.get(self._dtype):
            values = data.numpy().view(whole_number)
            self._extend(float(values.min()), float(values.max()))
        elif self._dtype in TORCH_DTYPES:
            self._add_floats(_comparable(data, self._dtype))

    def result(self) -> TensorValues:
        """What was found so far."""
        found = self._minimum <= self._maximum
        return TensorValues(
            examined=self._dtype in TORCH_DTYPES,
            nan=self._nan,
            infinite=self._infinite,
            minimum=self._minimum if found else None,
            maximum=self._maximum if found else None,
        )

    def _add_floats(self, values: Tensor) -> None:
        # One pass tells whether all is well: a NaN or an infinity shows in the extremes. Only then is it counted.
        low, high = (float(extreme) for extreme in torch.aminmax(values))
        if math.isfinite(low) and math.isfinite(high):
            self._extend(low, high)
            return
        self._nan += int(values.isnan().sum())
        self._infinite += int(values.isinf().sum())
        finite = values[values.isfinite()]
        if finite.numel():
            low, high = (float(extreme) for extreme in torch.aminmax(finite))
            self._extend(low, high)

    def _extend(self, low: float, high: float) -> None:
        self._minimum = min(self._minimum, low)
        self._maximum = max(self._maximum, high)


def _comparable(data: Tensor, dtype: str) -> Tensor:
    values = data.view(TORCH_DTYPES[dtype])
    if values.is_complex():
        return torch.view_as_real(values)
    return values.float() if dtype in _WIDENED else values
