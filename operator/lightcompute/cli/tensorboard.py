"""`lightcompute tensorboard`: a run's curves in a browser of this machine, for nobody else on the network."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import click

from lightcompute.cli.options import name_argument, runs_dir_option
from lightcompute.local.folder import runs_root
from runcontract import folder as names
from runcontract.faults import ConfigurationFault, Fault

HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


@click.command()
@name_argument
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=6006,
    show_default=True,
    help="Port; another free one is taken where it is in use.",
)
@runs_dir_option
def tensorboard(name: str, port: int, runs_dir: Path | None) -> int:
    """Serve the curves of the run NAME on this machine until Ctrl-C."""
    events = runs_root(runs_dir).existing(name).path / names.TENSORBOARD
    _refuse_without(events)
    port = _free_port(port)
    command = [
        sys.executable, "-m", "tensorboard.main", "--logdir", str(events), "--host", HOST, "--port", str(port),
        "--reload_interval", "5",
    ]  # fmt: skip
    # A session of its own: Ctrl-C reaches us alone, and we end it.
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
    try:
        return _serve(server, port)
    except KeyboardInterrupt:
        click.echo("")
        return 0
    finally:
        _end(server)


def _serve(server: subprocess.Popen[bytes], port: int) -> int:
    end = time.monotonic() + _START_SECONDS
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > end:
            raise ConfigurationFault(
                Fault(
                    where="tensorboard",
                    found=_last_words(server),
                    expected="a server that starts",
                )
            )
        time.sleep(0.1)
    click.echo(f"TensorBoard: http://{HOST}:{port}/\nCtrl-C ends it.")
    # Drained, so that a chatty server is never held up by a full pipe.
    server.communicate()
    return 0 if server.returncode == 0 else 1


def _refuse_without(events: Path) -> None:
    if importlib.util.find_spec("tensorboard") is None:
        raise ConfigurationFault(
            Fault(
                where="tensorboard",
                found="not installed",
                expected="the package tensorboard",
                action="Install it: pip install 'lightcompute[trainer]'.",
            )
        )
    if not events.is_dir():
        raise ConfigurationFault(
            Fault(
                where=str(events),
                found="no events yet",
                expected="the folder that the trainer writes",
                action="Wait until the run has begun.",
            )
        )


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _last_words(server: subprocess.Popen[bytes]) -> str:
    server.kill()
    _, stderr = server.communicate()
    lines = stderr.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "a server that said nothing"


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
