"""How a command that is an attempt of a run tells its supervisor that it ended before it had begun."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from lightgpt.cli.failing import one_line
from lightgpt.train.results import tell_early_end
from lightgpt.train.stopping import StopRequestedError, StopSignals
from runcontract.environment import AttemptEnvironment, read_attempt_environment
from runcontract.exit_codes import ExitCode
from runcontract.faults import ContractFault


def as_attempt(work: Callable[[AttemptEnvironment, StopSignals], int]) -> int:
    """Does `work` and returns its exit code; what it raises, a signal too, is told as the attempt's last word first."""
    signals = StopSignals()
    signals.listen()
    environment = AttemptEnvironment()
    try:
        environment = read_attempt_environment(os.environ)
        return work(environment, signals)
    except ContractFault as fault:
        tell_early_end(environment, fault.exit_code, str(fault))
        raise
    except StopRequestedError as stop:
        message = f"{stop} came before the first step; nothing was lost"
        tell_early_end(environment, ExitCode.PREEMPTED, message)
        click.echo(f"lightgpt: {message}", err=True)
        return ExitCode.PREEMPTED
    except Exception as error:
        tell_early_end(environment, ExitCode.INTERNAL_ERROR, one_line(error))
        raise
