"""Commands that people type, against the rig: helm, kubectl and our own. They run outside, as a person's would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.realnode.rig import Rig
from support.testcluster.binaries import HELM, binary

_SECONDS = 180


def helm(rig: Rig, *arguments: str) -> str:
    """What helm says; fails the test with what it complained of."""
    return said(rig, str(binary(HELM)), *arguments)


def kubectl(rig: Rig, *arguments: str) -> str:
    """What kubectl says."""
    return said(rig, "kubectl", *arguments)


def lightcompute(rig: Rig, *arguments: str) -> str:
    """What our command says."""
    return said(rig, *program(), *arguments)


def program() -> tuple[str, ...]:
    """Our command."""
    return (sys.executable, "-P", "-m", "lightcompute")


def variables(rig: Rig) -> dict[str, str]:
    """The environment of a person who works with the rig."""
    # What helm keeps of its own stays with the rig.
    homes = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME")
    return {
        **os.environ,
        "KUBECONFIG": str(rig.kubeconfig),
        "HOME": str(_home(rig)),
        **{name: str(_home(rig) / name.lower()) for name in homes},
    }


def said(rig: Rig, *command: str) -> str:
    """Standard output of a command that must end well."""
    done = subprocess.run(
        command, env=variables(rig), capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    shown = " ".join(command)
    assert done.returncode == 0, (
        f"`{shown}` ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def _home(rig: Rig) -> Path:
    folder = rig.folder / "home"
    folder.mkdir(exist_ok=True)
    return folder
