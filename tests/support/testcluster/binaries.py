"""The programs of the test cluster, built once from pinned Go modules and kept outside the checkout.

A program is named by the hash of what it is made of, so a changed version is built anew and an unchanged one never again. Nothing is
fetched but Go modules, by the `go` command, checked against the go.sum files that are checked in.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).resolve().parents[2] / "testcluster"
_LEAST_GO = (1, 26)
_VERSION = "k8s.io/component-base/version"


class NoBinaries(RuntimeError):
    """The machine cannot build the programs; the message says what is missing and what to do."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to build: its module's folder, the package, what is told to the linker, and how long it takes."""

    name: str
    package: str
    link: tuple[str, ...] = ()
    minutes: int

    @property
    def module(self) -> Path:
        """Folder of the Go module."""
        return MODULES / self.name


CONTROL_PLANE = Program(
    name="controlplane",
    package=".",
    link=(
        f"-X {_VERSION}.gitVersion=v1.34.4",
        f"-X {_VERSION}.gitMajor=1",
        f"-X {_VERSION}.gitMinor=34",
    ),
    minutes=8,
)
KWOK = Program(name="kwok", package="sigs.k8s.io/kwok/cmd/kwok", minutes=4)
HELM = Program(
    name="helm",
    package="helm.sh/helm/v3/cmd/helm",
    link=(
        "-X helm.sh/helm/v3/internal/version.version=v3.22.0",
        # The Kubernetes that charts are rendered for where no cluster is asked.
        "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1",
        "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34",
    ),
    minutes=4,
)
KUBE_SCORE = Program(
    name="kubescore", package="github.com/zegl/kube-score/cmd/kube-score", minutes=1
)
KUEUE = Program(
    name="kueue",
    package="sigs.k8s.io/kueue/cmd/kueue",
    link=("-X sigs.k8s.io/kueue/pkg/version.GitVersion=v0.17.1",),
    minutes=6,
)
S3_SERVER = Program(
    name="s3server",
    package="github.com/versity/versitygw/cmd/versitygw",
    # Version and the like are for its banner alone; the module is pinned by go.mod.
    minutes=3,
)
_ALL = (CONTROL_PLANE, KWOK, HELM, KUBE_SCORE, KUEUE, S3_SERVER)


def binary(program: Program) -> Path:
    """The built program; builds it first where this machine has not done so yet. Raises `NoBinaries`."""
    go = _go()
    path = _path(program, go)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_name("lock")):
        if not path.exists():  # Another process may have built it while this one waited.
            _build(program, go=go, path=path)
    return path


def build_all() -> None:
    """Builds what is not built yet. Raises `NoBinaries`."""
    for program in _ALL:
        binary(program)


def are_built() -> bool:
    """Whether nothing is left to build. False where it cannot be known, which `build_all` then says."""
    try:
        go = _go()
        return all(_path(program, go).exists() for program in _ALL)
    except NoBinaries:
        return False


def module_folder(program: Program, module: str) -> Path:
    """The source of a Go module that `program` is made of, as its go.sum has it; fetched anew if need be. Raises `NoBinaries`."""
    done = subprocess.run(
        [_go(), "mod", "download", "-json", module],
        cwd=program.module,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NoBinaries(f"Go finds no source of {module}:\n{done.stderr or done.stdout}")
    return Path(json.loads(done.stdout)["Dir"])


def _path(program: Program, go: str) -> Path:
    return _cache() / _key(program, go_version=_go_version(go)) / program.name


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lightcompute" / "testcluster"


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise NoBinaries(
            "The test cluster is built from Go modules, and no `go` is on the PATH: "
            f"install Go {_LEAST_GO[0]}.{_LEAST_GO[1]} or newer and run this again."
        )
    return go


def _go_version(go: str) -> str:
    """As `go1.26.8`; refuses one that is too old, because it would download another toolchain behind a person's back."""
    done = subprocess.run(
        [go, "env", "GOVERSION"], capture_output=True, text=True, check=False, env=_environment()
    )
    version = done.stdout.strip()
    numbers = version.removeprefix("go").split(".")[:2]
    if not all(number.isdigit() for number in numbers) or len(numbers) < 2:
        raise NoBinaries(f"{go} does not tell its version: it said {version or done.stderr!r}.")
    if (int(numbers[0]), int(numbers[1])) < _LEAST_GO:
        raise NoBinaries(
            f"{go} is {version}; the test cluster needs Go {_LEAST_GO[0]}.{_LEAST_GO[1]} or newer."
        )
    return version


def _key(program: Program, *, go_version: str) -> str:
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "main.go"):
        file = program.module / name
        digest.update(f"{name}\0".encode() + (file.read_bytes() if file.exists() else b"") + b"\0")
    digest.update(f"{go_version}\0{program.package}\0{program.link}".encode())
    return f"{program.name}-{digest.hexdigest()[:16]}"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One builder at a time; the lock goes with its process, however that ends."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _tell(f"Waiting for another process that builds {lock.parent.name}.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(program: Program, *, go: str, path: Path) -> None:
    _tell(
        f"Building {program.name} for the test cluster, about {program.minutes} minutes with two cores "
        f"and only this once; kept in {path.parent}."
    )
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        built = Path(folder) / program.name
        link = " ".join(("-s", "-w", *program.link))
        done = subprocess.run(
            [go, "build", "-trimpath", "-mod=readonly", "-ldflags", link, "-o", built, program.package],
            cwd=program.module,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoBinaries(
                f"{program.name} could not be built in {program.module}: `go build` ended with {done.returncode}.\n"
                f"{done.stderr[-2000:]}"
            )
        built.rename(path)
    _tell(f"Built {program.name} in {time.monotonic() - begin:.0f} s.")


def _environment() -> dict[str, str]:
    """What the calling shell has set, without what would change the program: it is named by its sources alone."""
    return {
        **{name: value for name, value in os.environ.items() if name not in {"GOFLAGS", "GOOS", "GOARCH"}},
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }  # fmt: skip


def _tell(text: str) -> None:
    """Building takes minutes: who waits is told, whatever pytest does with standard error."""
    stream = sys.__stderr__ or sys.stderr
    stream.write(f"{text}\n")
    stream.flush()


if __name__ == "__main__":
    try:
        build_all()
    except NoBinaries as reason:
        _tell(str(reason))
        sys.exit(1)
