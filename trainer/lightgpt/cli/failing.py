"""How a command fails: faults of the user as one message each, anything unforeseen as one line and a file with the traceback."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

import click

from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault


def report_failure(error: BaseException, *, debug: bool) -> int:
    """Tells of `error` on standard error; the exit code of its kind."""
    if debug and not isinstance(error, SystemExit):
        click.echo("".join(traceback.format_exception(error)), err=True)
    match error:
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        case ContractFault():
            for fault in error.faults:
                click.echo(f"lightgpt: {fault}", err=True)
            return error.exit_code
        case KeyboardInterrupt() | click.Abort():
            click.echo("lightgpt: interrupted", err=True)
            return ExitCode.PREEMPTED
        case BrokenPipeError():
            return ExitCode.INTERNAL_ERROR
        case _:
            click.echo(f"lightgpt: unforeseen: {one_line(error)}{_kept(error)}", err=True)
            return ExitCode.INTERNAL_ERROR


def one_line(error: BaseException) -> str:
    """The error as a line of bounded length."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]


def _kept(error: BaseException) -> str:
    """Writes the traceback to a file; the end of a sentence that says where."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="lightgpt-", suffix=".traceback.txt", delete=False, encoding="utf-8"
        ) as file:
            file.write("".join(traceback.format_exception(error)))
        return f". The traceback is in {Path(file.name)}; please report it."
    except OSError:
        return ". Run again with --debug for the traceback."
