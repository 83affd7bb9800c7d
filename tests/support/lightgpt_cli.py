"""The command `lightgpt` inside the test's own process: arguments in; exit code, output and errors out."""

from __future__ import annotations

from typing import NamedTuple

import pytest


class Called(NamedTuple):
    """What a call left behind."""

    code: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Called:
    """Runs `lightgpt` with these arguments."""
    from lightgpt.cli.main import main

    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert isinstance(leaving.value.code, int)
    return Called(leaving.value.code, printed.out, printed.err)
