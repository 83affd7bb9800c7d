"""Ways in which a checkpoint on a disk goes bad, chosen at random; each changes something that a manifest vouches for."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path


def truncated(path: Path, rng: random.Random) -> None:
    file = _file(path, rng)
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))])


def flipped(path: Path, rng: random.Random) -> None:
    file = _file(path, rng)
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def zeroed(path: Path, rng: random.Random) -> None:
    file = _file(path, rng)
    content = bytearray(file.read_bytes())
    place = rng.choice([index for index, byte in enumerate(content) if byte])
    length = min(rng.randrange(1, 64), len(content) - place)
    content[place : place + length] = bytes(length)
    file.write_bytes(content)


def longer(path: Path, rng: random.Random) -> None:
    with _file(path, rng).open("ab") as file:
        file.write(rng.choice([b"\0", b"\n", b" " * 8]))


def missing(path: Path, rng: random.Random) -> None:
    _file(path, rng).unlink()


def emptied(path: Path, rng: random.Random) -> None:
    _file(path, rng).write_bytes(b"")


def folder_instead_of_file(path: Path, rng: random.Random) -> None:
    file = _file(path, rng)
    file.unlink()
    file.mkdir()


def link_instead_of_file(path: Path, rng: random.Random) -> None:
    file = _file(path, rng)
    moved = path.parent / f"elsewhere-{path.name}-{file.name}"
    file.rename(moved)
    file.symlink_to(moved)


def edited_manifest(path: Path, rng: random.Random) -> None:
    manifest = path / "manifest.json"
    text = manifest.read_text()
    places = [index for index, sign in enumerate(text) if sign.isdigit()]
    place = rng.choice(places)
    digit = rng.choice([sign for sign in "0123456789" if sign != text[place]])
    manifest.write_text(text[:place] + digit + text[place + 1 :])


def swapped_with_another(path: Path, rng: random.Random) -> None:
    other = rng.choice([p for p in _siblings(path) if p != path])
    name = rng.choice(["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
    shutil.copyfile(other / name, path / name)


def whole_content_of_another(path: Path, rng: random.Random) -> None:
    other = rng.choice([p for p in _siblings(path) if p != path])
    shutil.rmtree(path)
    shutil.copytree(other, path)


ALL: tuple[Callable[[Path, random.Random], None], ...] = (
    truncated, flipped, flipped, zeroed, longer, missing, emptied, folder_instead_of_file, link_instead_of_file,
    edited_manifest, swapped_with_another, whole_content_of_another,
)  # fmt: skip
ALONE = tuple(way for way in ALL if way not in {swapped_with_another, whole_content_of_another})
"""Those that need no other checkpoint beside it."""


def _file(path: Path, rng: random.Random) -> Path:
    return rng.choice(sorted(file for file in path.iterdir() if file.is_file()))


def _siblings(path: Path) -> list[Path]:
    return sorted(p for p in path.parent.iterdir() if p.name.startswith("step-") and p.is_dir())
