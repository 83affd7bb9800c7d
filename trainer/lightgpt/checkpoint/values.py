"""What the values of a tensor look like, learned from its bytes in pieces, so that a tensor of any size needs the same memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightgpt.checkpoint.tensor_file import TORCH_DTYPES, TensorEntry

Values = np.ndarray[Any, Any]

_WHOLE_NUMBERS: dict[str, type[np.generic]] = {
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.uint8,
}  # fmt: skip
_FLOATS: dict[str, type[np.generic]] = {"F64": np.float64, "F32": np.float32, "C64": np.float32}
_ORDERED_BITS: dict[str, tuple[type[np.generic], type[np.generic]]] = {
    "F16": (np.uint16, np.int16), "BF16": (np.uint16, np.int16),
    "F8_E4M3": (np.uint8, np.int8), "F8_E5M2": (np.uint8, np.int8),
}  # fmt: skip
"""Types that numpy does not have, or is slow at, as unsigned and signed whole numbers of their bits."""


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
        if dtype := _WHOLE_NUMBERS.get(self._dtype):
            values = data.numpy().view(dtype)
            self._extend(float(values.min()), float(values.max()))
        elif self._dtype in TORCH_DTYPES:
            low, high = _extremes(data, self._dtype)
            # An infinity or a NaN shows in the extremes. Only then is it worth counting.
            if math.isfinite(low) and math.isfinite(high):
                self._extend(low, high)
            else:
                self._count(_decoded(data, self._dtype))

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

    def _count(self, values: Values) -> None:
        self._nan += int(np.isnan(values).sum())
        self._infinite += int(np.isinf(values).sum())
        finite = values[np.isfinite(values)]
        if finite.size:
            self._extend(float(finite.min()), float(finite.max()))

    def _extend(self, low: float, high: float) -> None:
        self._minimum = min(self._minimum, low)
        self._maximum = max(self._maximum, high)


def _extremes(data: Tensor, dtype: str) -> tuple[float, float]:
    """Lowest and highest value; one of them is not finite when any value is not.

    numpy and not PyTorch: its threads would wait for the core that is busy with hashing.
    """
    if dtype not in _ORDERED_BITS:
        values = data.numpy().view(_FLOATS[dtype])
        return float(values.min()), float(values.max())
    # Floats are sign and magnitude: among the negative ones a larger unsigned number is a lower value, and negative ones
    # are all below zero as signed numbers. NaN has the largest magnitudes of all.
    unsigned, signed = (data.numpy().view(bits) for bits in _ORDERED_BITS[dtype])
    largest, smallest, highest = int(unsigned.max()), int(unsigned.min()), int(signed.max())
    has_negative, has_positive = int(signed.min()) < 0, highest >= 0
    low = largest if has_negative else smallest
    high = highest if has_positive else smallest
    bits = np.array([low, high], dtype=unsigned.dtype).view(np.uint8)
    found = _decoded(torch.from_numpy(bits), dtype)
    return float(found[0]), float(found[1])


def _decoded(data: Tensor, dtype: str) -> Values:
    if dtype in _FLOATS:
        return data.numpy().view(_FLOATS[dtype])
    values: Values = data.view(TORCH_DTYPES[dtype]).float().numpy()
    return values
