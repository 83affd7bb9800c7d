"""The end of a training that computes nonsense: told from faults, since it is nobody's input and nothing to retry."""

from __future__ import annotations


class DivergedError(ArithmeticError):
    """A loss or a gradient is infinite or not a number. The message says which, and where."""
