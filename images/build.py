"""Builds the images of this repository with docker, podman or buildah, whichever works here, and says how large they are.

`python images/build.py [operator] [trainer]`; --build-arg goes through to the tool. It pushes nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
IMAGES = ("operator", "trainer")
TOOLS = ("docker", "podman", "buildah")


class Unbuildable(RuntimeError):
    """The images cannot be built here; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    """Builds what is asked for."""
    asked = _parser().parse_args(arguments)
    try:
        tool = chosen(asked.tool)
        for image in asked.images or IMAGES:
            name = f"{asked.prefix}lightcompute-{image}:{asked.tag}"
            _run(command(tool, image, name, build_args=asked.build_arg, pip_conf=asked.pip_conf))
            sys.stdout.write(f"{name}: {size_bytes(tool, name) / 1e6:,.0f} MB\n")
    except Unbuildable as reason:
        sys.stderr.write(f"error: {reason}\n")
        return 1
    return 0


def chosen(wanted: str | None = None) -> str:
    """The tool that is wanted, else the first that works here. Raises Unbuildable."""
    tried: list[str] = []
    for tool in (wanted,) if wanted else TOOLS:
        if shutil.which(tool) is None:
            tried.append(f"{tool} is not installed")
        elif not _works(tool):
            tried.append(f"{tool} is there and does not work (`{tool} info`)")
        else:
            return tool
    raise Unbuildable(
        f"Images are built by docker, podman or buildah: {'; '.join(tried)}. Install one of them."
    )


def command(
    tool: str, image: str, name: str, *, build_args: list[str], pip_conf: Path | None = None
) -> tuple[str, ...]:
    """The tool's command that builds `image` from the checkout and calls it `name`."""
    folder = CHECKOUT / "images" / image
    told = {"VERSION": version(), "REVISION": revision()}
    words = [tool, "build", "--file", str(folder / "Containerfile"), "--tag", name]
    if tool != "docker":  # docker finds it by its name, and has no option for it
        words += ["--ignorefile", str(folder / "Containerfile.dockerignore")]
    for arg in (*(f"{key}={value}" for key, value in told.items()), *build_args):
        words += ["--build-arg", arg]
    if pip_conf is not None:
        words += ["--secret", f"id=pip.conf,src={pip_conf}"]
    return (*words, str(CHECKOUT))


def version() -> str:
    """The version of the package."""
    document = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(document["project"]["version"])


def revision() -> str:
    """The commit that is checked out, marked where files differ from it; `unknown` without git."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def size_bytes(tool: str, name: str) -> int:
    """What the image takes."""
    if tool == "buildah":
        listed = json.loads(_output(tool, "images", "--json", name))
        return _bytes(listed[0]["size"])
    return int(_output(tool, "image", "inspect", "--format", "{{.Size}}", name))


def _bytes(text: str) -> int:
    """`123 MB`, as buildah says it, in bytes."""
    number, unit = text.split()
    return round(float(number) * {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}[unit.upper()])


def _works(tool: str) -> bool:
    done = subprocess.run([tool, "info"], capture_output=True, check=False)
    return done.returncode == 0


def _run(words: tuple[str, ...]) -> None:
    done = subprocess.run(words, check=False)
    if done.returncode:
        raise Unbuildable(f"`{' '.join(words)}` ended with {done.returncode}.")


def _output(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="images/build.py", description=__doc__)
    parser.add_argument("images", nargs="*", choices=[*IMAGES, []], metavar="IMAGE")
    parser.add_argument("--tool", choices=TOOLS, help="[default: the first that works]")
    parser.add_argument("--prefix", default="", help="registry and folder, such as registry/team/")
    parser.add_argument("--tag", default=version(), help="[default: the package's version]")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument(
        "--pip-conf", type=Path, metavar="FILE", help="where the index is; kept in no layer"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
