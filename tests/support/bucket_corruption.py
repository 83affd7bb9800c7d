"""Ways in which checkpoints in a bucket go bad, chosen at random and done through the service: each changes what a manifest vouches for.

Each takes the objects, the step and a source of chance, and says which steps are not whole any more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from lightgpt.vault.objects import Objects
from lightgpt.vault.places import VERIFIED, manifest_key
from runcontract.manifest import Manifest, checkpoint_name, parse_manifest, sealed_bytes

Way = Callable[[Objects, int, random.Random], set[int]]
MOST_BYTES = 1 << 20


def keys_of(objects: Objects, step: int) -> list[str]:
    """The manifest and the files of the checkpoint at `step`."""
    listed = objects.listed(f"checkpoints/{checkpoint_name(step)}/")
    return [each.key for each in listed if not each.key.endswith(VERIFIED)]


def content(objects: Objects, key: str) -> bytes:
    """Of a small object."""
    return objects.get(key, at_most_bytes=MOST_BYTES)


def truncated(objects: Objects, step: int, rng: random.Random) -> set[int]:
    return _changed(objects, step, rng, lambda data: data[: rng.randrange(len(data))])


def flipped(objects: Objects, step: int, rng: random.Random) -> set[int]:
    def change(data: bytes) -> bytes:
        new = bytearray(data)
        new[rng.randrange(len(new))] ^= 1 << rng.randrange(8)
        return bytes(new)

    return _changed(objects, step, rng, change)


def zeroed(objects: Objects, step: int, rng: random.Random) -> set[int]:
    def change(data: bytes) -> bytes:
        place = rng.choice([index for index, byte in enumerate(data) if byte])
        length = min(rng.randrange(1, 64), len(data) - place)
        return data[:place] + bytes(length) + data[place + length :]

    return _changed(objects, step, rng, change)


def longer(objects: Objects, step: int, rng: random.Random) -> set[int]:
    return _changed(objects, step, rng, lambda data: data + rng.choice([b"\0", b"\n", b" " * 8]))


def emptied(objects: Objects, step: int, rng: random.Random) -> set[int]:
    return _changed(objects, step, rng, lambda _: b"")


def emptied_manifest(objects: Objects, step: int, _: random.Random) -> set[int]:
    objects.put(manifest_key(step), b"")
    return {step}


def removed(objects: Objects, step: int, rng: random.Random) -> set[int]:
    """The manifest too: then there is no checkpoint at all."""
    objects.remove((rng.choice(keys_of(objects, step)),))
    return {step}


def taken_from_another(objects: Objects, step: int, rng: random.Random) -> set[int]:
    key, other = _pair(objects, step, rng)
    objects.put(key, content(objects, other))
    return {step}


def exchanged_with_another(objects: Objects, step: int, rng: random.Random) -> set[int]:
    key, other = _pair(objects, step, rng)
    mine, theirs = content(objects, key), content(objects, other)
    objects.put(key, theirs)
    objects.put(other, mine)
    return {step, _step_of(other)}


def all_of_another(objects: Objects, step: int, rng: random.Random) -> set[int]:
    other = rng.choice([each for each in _steps(objects) if each != step])
    for key in keys_of(objects, other):
        target = key.replace(checkpoint_name(other), checkpoint_name(step))
        objects.put(target, content(objects, key))
    return {step}


def edited_manifest(objects: Objects, step: int, rng: random.Random) -> set[int]:
    """By hand, and without its seal."""
    text = content(objects, manifest_key(step)).decode()
    place = rng.choice([index for index, sign in enumerate(text) if sign.isdigit()])
    digit = rng.choice([sign for sign in "0123456789" if sign != text[place]])
    objects.put(manifest_key(step), f"{text[:place]}{digit}{text[place + 1 :]}".encode())
    return {step}


def wrong_hash(objects: Objects, step: int, rng: random.Random) -> set[int]:
    """In a manifest that is sealed anew, as the next three."""
    digest = f"{rng.getrandbits(256):064x}"
    return _sealed_anew(objects, step, _with_file(rng, sha256=digest))


def wrong_size(objects: Objects, step: int, rng: random.Random) -> set[int]:
    return _sealed_anew(objects, step, _with_file(rng, size_bytes=rng.randrange(10_000, 20_000)))


def wrong_name(objects: Objects, step: int, rng: random.Random) -> set[int]:
    return _sealed_anew(objects, step, _with_file(rng, name="other.safetensors"))


def wrong_place(objects: Objects, step: int, rng: random.Random) -> set[int]:
    change: dict[str, Any] = rng.choice([{"step": step + 1}, {"step": step - 10}, {"attempt": 2}])
    return _sealed_anew(objects, step, lambda manifest: manifest.model_copy(update=change))


ALL: tuple[Way, ...] = (
    truncated, flipped, flipped, zeroed, longer, emptied, emptied_manifest, removed, taken_from_another,
    exchanged_with_another, all_of_another, edited_manifest, wrong_hash, wrong_size, wrong_name, wrong_place,
)  # fmt: skip
ALONE = tuple(
    way for way in ALL if way not in {taken_from_another, exchanged_with_another, all_of_another}
)
"""Those that leave the other checkpoints out of it."""


def _changed(
    objects: Objects, step: int, rng: random.Random, change: Callable[[bytes], bytes]
) -> set[int]:
    key = rng.choice(keys_of(objects, step))
    before = content(objects, key)
    after = change(before)
    assert after != before, "nothing was changed"
    objects.put(key, after)
    return {step}


def _pair(objects: Objects, step: int, rng: random.Random) -> tuple[str, str]:
    """An object of the step, and the one that stands for it in another."""
    other = rng.choice([each for each in _steps(objects) if each != step])
    key = rng.choice(keys_of(objects, step))
    return key, key.replace(checkpoint_name(step), checkpoint_name(other))


def _steps(objects: Objects) -> list[int]:
    return sorted({_step_of(each.key) for each in objects.listed("checkpoints/") if "/step-" in each.key})  # fmt: skip


def _step_of(key: str) -> int:
    return int(key.split("/")[1].removeprefix("step-"))


def _with_file(rng: random.Random, **change: object) -> Callable[[Manifest], Manifest]:
    def changed(manifest: Manifest) -> Manifest:
        files = list(manifest.files)
        number = rng.randrange(len(files))
        files[number] = files[number].model_copy(update=change)
        return manifest.model_copy(update={"files": tuple(files)})

    return changed


def _sealed_anew(objects: Objects, step: int, change: Callable[[Manifest], Manifest]) -> set[int]:
    manifest = parse_manifest(content(objects, manifest_key(step)))
    objects.put(manifest_key(step), sealed_bytes(change(manifest)))
    return {step}
