"""The images of this project, built by its own script and Containerfiles, on bases made on this machine.

The trainer's has the distribution's PyTorch for processors: the locked one brings CUDA, several gigabytes that nothing here would use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.realnode.images import base, builder
from support.source import CHECKOUT

_PREFIX = "localhost/"
_INPUTS = ("LICENSE", "README.md", "pyproject.toml", "requirements", "trainer/runcontract")
_OWN_INPUTS = {
    "operator": ("images/operator", "operator/lightcompute"),
    "trainer": ("images/trainer", "trainer/lightgpt"),
}
"""Each image has the whole package in it; but neither program imports the other, so a change of the other makes no difference."""

_BASES = {
    "operator": {"BASE_IMAGE": base.PYTHON_TO_BUILD, "RUNTIME_IMAGE": base.PYTHON},
    "trainer": {"BASE_IMAGE": base.PLAIN},
}


@dataclass(frozen=True, kw_only=True)
class Image:
    """One of ours: its name says what it was made of."""

    kind: str
    tag: str

    @property
    def repository(self) -> str:
        """Its name without the tag."""
        return f"{_PREFIX}lightcompute-{self.kind}"

    @property
    def name(self) -> str:
        """All of it."""
        return f"{self.repository}:{self.tag}"


def operator() -> Image:
    """The operator's."""
    return Image(kind="operator", tag=_tag("operator"))


def trainer() -> Image:
    """The trainer's."""
    return Image(kind="trainer", tag=_tag("trainer"))


def archive(image: Image) -> Path:
    """The image as a file; it is built first where this machine has not done so yet."""
    if not builder.has(image.name):
        builder.run(*_command(image))
        builder.forget_others(image.name)
    return builder.archive(image.name)


def _command(image: Image) -> tuple[str, ...]:
    arguments = _build_arguments(image.kind)
    return (
        sys.executable,
        str(CHECKOUT / "images" / "build.py"),
        image.kind,
        "--tool=buildah",
        f"--prefix={_PREFIX}",
        f"--tag={image.tag}",
        f"--pip-conf={builder.pip_settings()}",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
    )


def _build_arguments(kind: str) -> dict[str, str]:
    bases = {name: base.made(each) for name, each in _BASES[kind].items()}
    return bases | ({"TORCH": "system"} if kind == "trainer" else {})


def _tag(kind: str) -> str:
    files = (file for name in (*_INPUTS, *_OWN_INPUTS[kind]) for file in _files(CHECKOUT / name))
    bases = (each.name for each in _BASES[kind].values())
    return builder.key(kind, *bases, builder.key_of_files(files, root=CHECKOUT))


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from (
        each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts
    )
