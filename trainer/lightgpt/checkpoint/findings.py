"""What is wrong with the values of tensors: pure judgement of what a scan saw."""

from __future__ import annotations

from collections.abc import Iterator

from lightgpt.checkpoint.report import Finding, Severity, TensorReport
from lightgpt.checkpoint.scan import ScannedFile, ScannedTensor

LARGEST_VALUE = 1e6
"""Weights and moments of a training that goes well stay far below; what is above overflows in half precision soon."""
_NAMES_IN_A_FINDING = 5


def tensor_report(file: str, tensor: ScannedTensor) -> TensorReport:
    """The tensor's line in the report."""
    values = tensor.values
    return TensorReport(
        file=file,
        name=tensor.entry.name,
        dtype=tensor.entry.dtype,
        shape=tensor.entry.shape,
        nan=values.nan,
        infinite=values.infinite,
        minimum=values.minimum,
        maximum=values.maximum,
        all_zero=values.is_all_zero,
    )


def value_findings(file: str, scanned: ScannedFile) -> Iterator[Finding]:
    """Findings about the values in a file. Ranges and zeros are asked of numbers with fractions only: the others count or flag."""
    for tensor in scanned.tensors:
        yield from _in_tensor(f"{file}: {tensor.entry.name}", tensor)
    floats = [tensor for tensor in scanned.tensors if tensor.is_float]
    zero = [tensor.entry.name for tensor in floats if tensor.values.is_all_zero]
    if zero:
        yield _warning(
            file,
            f"{len(zero)} of {len(floats)} tensors all zero: {_some(zero)}",
            "values, unless they start at zero and had no gradient yet",
        )
    unread = [tensor.entry.name for tensor in scanned.tensors if not tensor.values.examined]
    if unread:
        yield _warning(
            file,
            f"{len(unread)} tensors of a type whose values cannot be read here: {_some(unread)}",
            "",
        )


def _in_tensor(where: str, tensor: ScannedTensor) -> Iterator[Finding]:
    values, elements = tensor.values, tensor.entry.elements
    if values.nan:
        yield _error(where, f"{values.nan:,} of {elements:,} values are NaN", "none")
    if values.infinite:
        yield _error(where, f"{values.infinite:,} of {elements:,} values are infinite", "none")
    if tensor.is_float and values.minimum is not None and values.maximum is not None:
        extreme = max(values.minimum, values.maximum, key=abs)
        if abs(extreme) > LARGEST_VALUE:
            yield _error(where, f"a value of {extreme:.4g}", f"none beyond {LARGEST_VALUE:,.0f}")


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_IN_A_FINDING
    return ", ".join(names[:_NAMES_IN_A_FINDING]) + (f" and {more} more" if more > 0 else "")


def _error(where: str, found: str, expected: str) -> Finding:
    return Finding(severity=Severity.ERROR, where=where, found=found, expected=expected)


def _warning(where: str, found: str, expected: str) -> Finding:
    return Finding(severity=Severity.WARNING, where=where, found=found, expected=expected)
