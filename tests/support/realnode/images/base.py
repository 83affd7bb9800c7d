"""The bases of our images in these tests: Debian from its packages, since there is no registry to pull one from."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.realnode.images import builder
from support.realnode.store import cache

SUITE = "trixie"
_LEFT_OUT = ("./var/cache/apt/archives/*.deb", "./var/cache/apt/*.bin", "./var/lib/apt/lists/*")
"""What apt fetched is of no more use."""
_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Base:
    """Debian with some packages; its name says which."""

    kind: str
    packages: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the image."""
        recipe = builder.key(SUITE, *_LEFT_OUT, *self.packages)
        return f"localhost/lightcompute-{self.kind}:{recipe}"


PLAIN = Base(kind="debian")
PYTHON = Base(kind="python", packages=("python3",))
PYTHON_TO_BUILD = Base(kind="python-build", packages=("python3", "python3-venv", "python3-pip"))


def made(base: Base) -> str:
    """The name of a base; makes it first where this machine has none."""
    if builder.has(base.name):
        return base.name
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        if base.packages:
            text = _with_packages(made(PLAIN), base.packages)
        else:
            text = _bootstrapped(Path(folder))
        builder.build(Path(folder), text, image=base.name)
    return base.name


def _with_packages(plain: str, packages: tuple[str, ...]) -> str:
    install = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    return f"FROM {plain}\nRUN apt-get update && {install} && rm -rf /var/lib/apt/lists/*\n"


def _bootstrapped(context: Path) -> str:
    root = context / "root"
    _run("debootstrap", "--variant=minbase", SUITE, str(root))
    left_out = (f"--exclude={pattern}" for pattern in _LEFT_OUT)
    _run(
        "tar",
        "--create",
        "--file",
        str(context / "base.tar"),
        "--directory",
        str(root),
        *left_out,
        ".",
    )
    return "FROM scratch\nADD base.tar /\n"


def _run(*command: str) -> None:
    done = subprocess.run(
        ["nice", *command], capture_output=True, text=True, check=False, timeout=_SECONDS
    )
    if done.returncode:
        raise RuntimeError(
            f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-1000:]}"
        )
