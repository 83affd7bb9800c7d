"""A run's curves in a browser of this machine, for nobody else on the network: a TensorBoard of our own beside us, until Ctrl-C."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import click

from lightcompute.cli.tensorboard import HOST, free_port, told_address
from lightcompute.local.folder import RunFolder
from runcontract import folder as names
from runcontract.faults import ConfigurationFault, Fault

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


def serve_curves(run: RunFolder, port: int) -> int:
    """Serves what the run's trainer wrote; the exit code."""
    events = run.path / names.TENSORBOARD
    _refuse_without(events)
    port = free_port(port)
    command = [
        sys.executable, "-m", "lightgpt", "tensorboard", "--logdir", str(events), "--host", HOST, "--port", str(port),
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
    click.echo(told_address(port))
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
