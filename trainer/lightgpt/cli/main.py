"""The group of commands, and the way every one of them fails: one message a fault, and the exit code of its kind."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from lightgpt.cli.failing import report_failure

_COMMANDS = {
    "train": ("lightgpt.cli.train", "Train a model, or go on training it, as an order says."),
    "carry": ("lightgpt.cli.carry", "Run another trainer with its checkpoints kept in a bucket."),
    "evaluate": ("lightgpt.cli.evaluate", "Score a part of the text with a trained model."),
    "generate": ("lightgpt.cli.generate", "Write text with a trained model."),
    "tensorboard": ("lightgpt.cli.tensorboard", "Serve a run's curves to browsers."),
    "smoke": ("lightgpt.cli.smoke", "See in seconds whether training works on this machine."),
    "data": ("lightgpt.cli.data", "Prepare and inspect data."),
    "tokenizer": ("lightgpt.cli.tokenizer", "Train and inspect tokenizers."),
    "checkpoint": ("lightgpt.cli.checkpoint", "Verify, prune and copy checkpoints."),
    "documents": ("lightgpt.cli.documents", "Bring a run's curves and results from its bucket."),
    "serve": ("lightgpt.cli.serve", "Hand out a checkpoint to whoever reaches into this machine."),
    "tend": ("lightgpt.cli.tend", "Verify, prune or delete the checkpoints of a run at rest."),
}


class LazyCommands(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in the order in which a person needs them."""
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(_COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, from the table: nothing is imported for it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.version_option(package_name="lightcompute", prog_name="lightgpt")
def lightgpt(debug: bool) -> None:
    """Train, score and use GPT models from one YAML file."""
    _ = debug


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and leaves with the exit code of what happened."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] != ["carry"]:  # whose program has an environment of its own
        _let_waiting_threads_sleep()
    if arguments is None and given[:1] == ["train"]:
        _fix_hash_seed()
    try:
        code: Any = lightgpt.main(args=given, prog_name="lightgpt", standalone_mode=False)
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BaseException as error:  # noqa: BLE001 - the border: every failure becomes a message and a number
        code = report_failure(error, debug="--debug" in given)
    sys.exit(code if isinstance(code, int) else 0)


def _let_waiting_threads_sleep() -> None:
    """Has OpenMP's threads wait asleep, unless the caller chose; it reads the choice when torch is imported.

    Threads that wait by spinning take the processor from the very thread they wait for as soon as anything else runs on the
    machine: measured, a sixfold slow-down at a load of four times the processors (docs/log.md).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _fix_hash_seed() -> None:
    """Starts the interpreter anew with a fixed hash seed where none was given: it cannot be set later."""
    if os.environ.get("PYTHONHASHSEED"):
        return
    os.environ["PYTHONHASHSEED"] = "1337"
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very program
