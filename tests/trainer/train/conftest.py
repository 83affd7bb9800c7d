"""Tests here train in their own process."""

from support.training_fixtures import process_as_it_was, workshop

__all__ = ["process_as_it_was", "workshop"]
