"""The entry of `lightcompute`: which commands there are, and how a fault is told.

Only click is imported here. A command's module is imported when the command is called; what needs pydantic, rich or torch
is behind it.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import Any

import click

COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("lightcompute.cli.run:run", "Train what a file orders on this machine, or go on with it."),
    "submit": ("lightcompute.cli.submit:submit", "Have a cluster train what files order."),
    "validate": ("lightcompute.cli.validate:validate", "Say every fault in files before they cost anything."),
    "list": ("lightcompute.cli.status:list_runs", "List the runs on this machine or in a cluster."),
    "status": ("lightcompute.cli.status:status", "Show how a run is doing, or its status document."),
    "explain": ("lightcompute.cli.explain:explain", "Say why a run is where it is, or where the run of a file would go."),
    "cost": ("lightcompute.cli.cost:cost", "Show what a run has cost and will cost."),
    "logs": ("lightcompute.cli.logs:logs", "Print what a run's trainer wrote."),
    "tensorboard": ("lightcompute.cli.tensorboard:tensorboard", "Serve a run's curves to a browser on this machine."),
    "checkpoint": ("lightcompute.cli.checkpoint:checkpoint", "List, verify, pin, save, prune and copy a run's checkpoints."),
    "stop": ("lightcompute.cli.stop:stop", "Ask a run to save and leave."),
    "suspend": ("lightcompute.cli.stop:suspend", "Hold a run, to go on with it later."),
    "resume": ("lightcompute.cli.resume:resume", "Go on with a run that holds."),
    "delete": ("lightcompute.cli.delete:delete", "Delete a run."),
    "reproduce": ("lightcompute.cli.reproduce:reproduce", "Run again, and say whether it came out bit for bit the same."),
    "record": ("lightcompute.cli.record:record", "Commit what came of a run to a git repository, and tag it."),
    "clusters": ("lightcompute.cli.clusters:clusters", "List the places that runs may go to, and what is free there."),
    "budgets": ("lightcompute.cli.budgets:budgets", "List what runs may cost together, and what is left; on this machine, set it."),
    "operator": ("lightcompute.cli.operate:operator", "Look after the TrainingRuns of a cluster."),
}  # fmt: skip


class Commands(click.Group):
    """Commands by name, each loaded when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click hands it over
        """The names, in the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click hands it over
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click hands it over
        """The list in `--help`, from the table alone: no command is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show where in the code an unforeseen fault arose.")
@click.version_option(package_name="lightcompute", prog_name="lightcompute")
@click.pass_context
def cli(ctx: click.Context, debug: bool) -> None:
    """Train language models under a budget: the same file here and in a cluster."""
    ctx.obj = {"debug": debug}


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and ends the process with its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code: Any = cli.main(args=given, prog_name="lightcompute", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has left (`| head`): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the outermost layer: a person gets a sentence, not a traceback
        sys.exit(_tell(error, debug="--debug" in given))
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: Exception, *, debug: bool) -> int:
    from runcontract.faults import ContractFault

    if isinstance(error, ContractFault):
        for fault in error.faults:
            click.echo(f"error: {fault}", err=True)
        return int(error.exit_code)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {place}{error.strerror or error}", err=True)
    else:
        click.echo(f"error: this was not foreseen: {type(error).__name__}: {error}", err=True)
    if debug:
        traceback.print_exception(error)
    else:
        click.echo("`lightcompute --debug ...` shows where in the code it arose.", err=True)
    return 1
