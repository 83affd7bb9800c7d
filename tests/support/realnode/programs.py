"""What the rig is made of: programs built from Go modules beside those of the test cluster, and packages of Debian.

Where it is root on Debian it installs what is missing. Anywhere else it says what is missing, and touches nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.testcluster.binaries import CONTROL_PLANE, NoBinaries, Program, binary

COREDNS = Program(name="coredns", package=".", minutes=3)
PAUSE = Program(name="pause", package=".", minutes=1)
PROGRAMS = (CONTROL_PLANE, COREDNS, PAUSE)

PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "chromium": "chromium",
}
"""Commands that are needed, and the package of each."""
PLUGINS = Path("/usr/lib/cni")
_INSTALL_SECONDS = 900


class NoRealNode(RuntimeError):
    """The machine cannot run pods; the message says what is missing and what to do."""


def ready() -> None:
    """Installs and builds what is missing. Raises `NoRealNode`."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise NoRealNode("Pods need namespaces, mounts and cgroups: run this as root on Linux.")
    missing = _missing()
    if missing:
        _install(missing)
    if still := _missing():
        raise NoRealNode(f"Missing although they were installed: {', '.join(still)}.")
    try:
        for program in PROGRAMS:
            binary(program)
    except NoBinaries as reason:
        raise NoRealNode(str(reason)) from reason


def _missing() -> tuple[str, ...]:
    """Packages that are not there."""
    packages = {package for command, package in PACKAGES.items() if shutil.which(command) is None}
    if not (PLUGINS / "bridge").exists():
        packages.add("containernetworking-plugins")
    return tuple(sorted(packages))


def _install(packages: tuple[str, ...]) -> None:
    wanted = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise NoRealNode(
            f"Missing: {wanted}. This is no Debian, so install them by hand and run this again."
        )
    _tell(f"Installing packages that a real node needs: {wanted}.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (("update", "-q"), ("install", "-q", "-y", "--no-install-recommends", *packages)):
        done = subprocess.run(
            ["apt-get", *step],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_SECONDS,
        )
        if done.returncode:
            raise NoRealNode(
                f"`apt-get {' '.join(step)}` ended with {done.returncode}: {done.stderr[-1500:]}"
            )


def _tell(text: str) -> None:
    """Who waits for minutes is told, whatever pytest does with standard error."""
    stream = sys.__stderr__ or sys.stderr
    stream.write(f"{text}\n")
    stream.flush()
