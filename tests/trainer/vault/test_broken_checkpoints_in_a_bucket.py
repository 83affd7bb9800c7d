"""Whatever is done to checkpoints in a bucket, what is broken is never loaded, and what is whole is taken, and stays."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping

import pytest

from lightgpt.vault.objects import Objects
from lightgpt.vault.places import VERIFIED, manifest_key
from runcontract.faults import CheckpointFault
from runcontract.manifest import checkpoint_name, parse_manifest, sealed_bytes
from support.bucket_corruption import ALL, ALONE, content
from support.checkpoints import is_state_of, save, store_at
from support.s3_server import Place

CORRUPTIONS = 200
STEPS = (10, 20, 30)


def contents(place: Place) -> dict[str, bytes]:
    """Read where the server keeps it, which takes no requests."""
    root = place.file("")
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def of_step(objects: Mapping[str, bytes], step: int) -> dict[str, bytes]:
    """What there is of a step, but for the note that it was read back."""
    folder = f"checkpoints/{checkpoint_name(step)}/"
    return {
        key: data
        for key, data in objects.items()
        if key.startswith(folder) and not key.endswith(VERIFIED)
    }


def set_aside(objects: Mapping[str, bytes], step: int) -> dict[str, bytes]:
    """The same as it is left when it was found broken: all of it, its manifest under another name.

    Without a manifest it never was a checkpoint, but what a killed save leaves, which is swept up.
    """
    left, key = of_step(objects, step), manifest_key(step)
    if key not in left:
        return {}
    return {f"{key}.broken-1" if each == key else each: data for each, data in left.items()}


def corrupt(objects: Objects, seed: int, done: Counter[str]) -> set[int]:
    """Damages the newest, the one before it, or both; the steps that are not whole any more."""
    rng = random.Random(seed)
    first, *others = rng.choice([(30,), (30,), (30, 20), (20,)])
    way = rng.choice(ALL)
    broken = way(objects, first, rng)
    done[way.__name__] += 1
    for step in set(others) - broken:
        way = rng.choice(ALONE)
        broken |= way(objects, step, rng)
        done[way.__name__] += 1
    return broken


@pytest.mark.timeout(300)
def test_two_hundred_random_corruptions_are_all_found_and_nothing_whole_is_lost(
    new_place: Callable[[], Place],
) -> None:
    place = new_place()
    with store_at(place.machine(), objects=place.objects()) as store:
        for step in STEPS:
            save(store, step, validation=step)
    good, done = contents(place), Counter[str]()
    for seed in range(CORRUPTIONS):
        place = new_place()
        objects = place.objects()
        for key, data in good.items():
            objects.put(key, data)
        broken = corrupt(objects, seed, done)
        damaged, whole = contents(place), [step for step in STEPS if step not in broken]
        told = f"seed {seed}: {sorted(broken)} broken, {dict(done)}"

        with store_at(place.machine(), attempt=2, objects=objects) as store:
            if whole:
                loaded = store.load_newest()
                assert loaded is not None, told
                assert is_state_of(loaded, whole[-1]), told
            else:
                with pytest.raises(CheckpointFault, match="only broken checkpoints"):
                    store.load_newest()
            save(store, 40, validation=40)

        left = contents(place)
        assert place.committed() == [*whole, 40], told
        for step in STEPS:
            kept = of_step(damaged, step) if step in whole else set_aside(damaged, step)
            assert of_step(left, step) == kept, f"{told}, step {step}"
    assert done.total() >= CORRUPTIONS
    print(f"{done.total()} corruptions of {CORRUPTIONS} buckets found, none loaded: {dict(done)}")


def test_a_manifest_that_names_files_of_another_attempt_costs_none_of_those_that_are_there(
    place: Place,
) -> None:
    objects = place.objects()
    with store_at(place.machine(), objects=objects) as store:
        save(store, 10)
        save(store, 20)
    manifest = parse_manifest(content(objects, manifest_key(20)))
    objects.put(manifest_key(20), sealed_bytes(manifest.model_copy(update={"attempt": 2})))
    damaged = contents(place)
    with store_at(place.machine(), attempt=2, objects=objects) as store:
        loaded = store.load_newest()
        assert loaded is not None
        assert is_state_of(loaded, 10)
    assert of_step(contents(place), 20) == set_aside(damaged, 20)
