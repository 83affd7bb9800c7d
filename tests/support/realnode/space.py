"""Namespaces of the rig's own: a network, process numbers and mounts that nobody else sees, and that are gone with its first process.

Folders of the rig stand in for /var/lib, /var/log and /run, so the kubelet and containerd find everything where they expect it, and
leave nothing on the machine. Tests reach in by a pair of virtual interfaces; nothing listens outside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from lightcompute.local import leash
from support.realnode import first_process

_SECONDS = 30
_FOLDERS = ("/var/lib", "/var/log", "/run")
_WIRE = "beside"
_WIRES = "10.249.0"
"""Addresses of the ends of a wire between two spaces: seen in those alone."""


class Space:
    """Where the rig lives."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], pid: int, subnet: int):
        self.folder = folder
        self.pid = pid
        self.host = f"10.250.{subnet}.1"
        self._process = process

    @classmethod
    def make(cls, folder: Path, *, binds: dict[Path, str]) -> Self:
        """Makes the namespaces; `binds` are further folders with the place where they are seen, which must be below one of ours."""
        stand_ins = {folder / name.strip("/").replace("/", "-"): name for name in _FOLDERS}
        for stand_in in stand_ins:
            stand_in.mkdir(parents=True, exist_ok=True)
        for folder_of_bind, seen in binds.items():
            folder_of_bind.mkdir(parents=True, exist_ok=True)
            _outside(folder, seen).mkdir(parents=True, exist_ok=True)
        process = _first_process(stand_ins | binds)
        try:
            space = cls(folder, process, _outer_pid(process), _free_subnet())
            space._connect()
        except BaseException:
            _end(process)
            raise
        return space

    @property
    def network(self) -> tuple[str, ...]:
        """A command that runs another in the network alone; it becomes the other."""
        return ("nsenter", f"--net=/proc/{self.pid}/ns/net", "--")

    @property
    def inside(self) -> tuple[str, ...]:
        """A command that runs another in all namespaces, and ends it when it is killed itself."""
        enter = ("nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--")
        return (*enter, sys.executable, "-I", "-S", leash.__file__, "0")

    def outside(self, path: str) -> Path:
        """Where a path below one of our folders is for tests."""
        return _outside(self.folder, path)

    def run(self, *command: str, seconds: float = 120) -> str:
        """What a command says that runs inside; raises RuntimeError with what it complained of."""
        done = subprocess.run(
            [*self.inside, *command], capture_output=True, text=True, check=False, timeout=seconds
        )
        if done.returncode:
            raise RuntimeError(
                f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr[-3000:]}"
            )
        return done.stdout

    def link(self, other: Space) -> None:
        """A wire between two of them: what is in the one reaches the host of the other. It goes with either."""
        near, far = f"{_WIRES}.1", f"{_WIRES}.2"
        _ip(
            "link", "add", _WIRE, "netns", str(self.pid),
            "type", "veth", "peer", "name", _WIRE, "netns", str(other.pid),
        )  # fmt: skip
        for space, own, through, host in (
            (self, near, far, other.host),
            (other, far, near, self.host),
        ):
            space.run("ip", "addr", "add", f"{own}/30", "dev", _WIRE)
            space.run("ip", "link", "set", _WIRE, "up")
            space.run("ip", "route", "add", f"{host}/32", "via", through)

    def stop(self) -> None:
        """Ends everything inside, and waits until it is gone."""
        _end(self._process)
        end = time.monotonic() + _SECONDS
        while Path(f"/proc/{self.pid}").exists():
            if time.monotonic() > end:
                raise RuntimeError(f"process {self.pid} is still there {_SECONDS} s after its kill")
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _connect(self) -> None:
        """A pair of interfaces: the inner end is where everything listens, the outer one is how tests get there."""
        ours, theirs = f"lc-{self.pid}", "outside"
        _ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", str(self.pid))
        _ip("addr", "add", f"{self.host.removesuffix('.1')}.2/30", "dev", ours)
        _ip("link", "set", ours, "up")
        self.run("ip", "addr", "add", f"{self.host}/30", "dev", theirs)
        self.run("ip", "link", "set", theirs, "up")
        # A way out that leads nowhere: programs ask for the address of the default route.
        self.run("ip", "route", "add", "default", "via", f"{self.host.removesuffix('.1')}.2")
        self.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")


def _first_process(binds: dict[Path, str]) -> subprocess.Popen[str]:
    unshare = (
        "unshare",
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--propagation=private",
    )
    program = (sys.executable, "-I", "-S", first_process.__file__)
    held = (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()))
    arguments = tuple(f"{folder}={seen}" for folder, seen in binds.items())
    return subprocess.Popen(
        [*held, *unshare, "--", *program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _outer_pid(process: subprocess.Popen[str]) -> int:
    """The number that the first process tells once it is ready."""
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    if not said:
        raise RuntimeError(f"no namespaces: the first process ended with {process.wait(5)}")
    return int(said)


def _outside(folder: Path, path: str) -> Path:
    for name in _FOLDERS:
        if path.startswith(f"{name}/"):
            return folder / name.strip("/").replace("/", "-") / path.removeprefix(f"{name}/")
    raise ValueError(f"{path} is below none of {', '.join(_FOLDERS)}")


def _free_subnet() -> int:
    """The third number of addresses that no interface of this machine has."""
    taken = _ip("-4", "-oneline", "addr", "show")
    return next(number for number in range(256) if f" 10.250.{number}." not in taken)


def _ip(*arguments: str) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"`ip {' '.join(arguments)}` ended with {done.returncode}: {done.stderr}"
        )
    return done.stdout
