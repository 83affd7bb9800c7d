"""Tests here start runs as a user does."""

from support.local_runs import local_run

__all__ = ["local_run"]
