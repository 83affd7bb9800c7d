"""A process may end, and the service may fail, at any request of a resume, a save and the deletions after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from lightgpt.vault.objects import Objects
from runcontract.faults import CheckpointFault, ContractFault, StorageFault
from support.checkpoints import is_state_of, save, snapshot_of, store_at
from support.faulty_disks import Killed
from support.s3_server import CountingObjects, FailingObjects, HookedObjects, KillingObjects, Place

pytestmark = [pytest.mark.timeout(600)]


def begin_run(place: Place) -> None:
    """A run with three checkpoints in the bucket, something half written and something half deleted."""
    with store_at(place.machine(), keep_latest=2, objects=place.objects()) as store:
        save(store, 10, validation=1.0)
        save(store, 20, validation=2.0)
        save(store, 30, validation=3.0)
    place.objects().put("checkpoints/step-00000040/attempt-1/model.safetensors", b"half")
    place.objects().put("checkpoints/step-00000005/verified.json", b"half")


def go_on(place: Place, objects: Objects) -> None:
    """The attempt under test: sweeps, brings step 30, publishes step 40, deletes step 20."""
    store = store_at(place.machine(), attempt=2, keep_latest=2, objects=objects)
    try:
        assert store.load_newest() is not None
        save(store, 40, validation=4.0)
    finally:
        store.close()


def recover(place: Place, *, newest: set[int]) -> None:
    """A healthy third attempt on another machine takes up one of `newest`, goes on, and leaves the bucket as if nothing had been."""
    with store_at(place.machine(), attempt=3, keep_latest=2, objects=place.objects()) as store:
        loaded = store.load_newest()
        assert loaded is not None
        assert loaded.manifest.step in newest
        assert is_state_of(loaded, loaded.manifest.step)
        assert store.take_warnings() == []
        if loaded.manifest.step == 30:
            save(store, 40, validation=4.0)
        save(store, 50, validation=5.0)
    assert place.committed() == [10, 40, 50]
    names = {name.removeprefix("checkpoints/").split("/")[0] for name in place.names()}
    assert names == {"step-00000010", "step-00000040", "step-00000050", "attempt-00000003.lock"}


def requests_of(place: Place) -> list[str]:
    objects = CountingObjects(place.bucket, credentials=place.credentials)
    begin_run(place)
    go_on(place, objects)
    return objects.operations


def test_a_process_that_ends_before_any_request_loses_one_save_at_most(
    new_place: Callable[[], Place],
) -> None:
    requests = requests_of(new_place())
    print(f"{len(requests)} requests: {', '.join(requests)}")
    assert {"listed", "put", "put_new", "put_file", "get", "piece", "remove"} == set(requests)
    commits = requests.index("put_new") + 1
    for at in range(1, len(requests) + 1):
        place = new_place()
        begin_run(place)
        with suppress(Killed):
            go_on(place, KillingObjects(place.bucket, credentials=place.credentials, at=at))
        recover(place, newest={30} if at <= commits else {40})


def test_a_service_that_fails_at_any_request_costs_one_save_at_most(
    new_place: Callable[[], Place],
) -> None:
    for at in range(1, len(requests_of(new_place())) + 1):
        place = new_place()
        begin_run(place)
        objects = FailingObjects(place.bucket, credentials=place.credentials, at=at)
        with suppress(StorageFault):
            go_on(place, objects)
        recover(place, newest={30, 40})


@pytest.mark.parametrize("operation", ["put_file", "put_new", "piece", "get", "put"])
def test_a_writer_that_is_overtaken_in_the_middle_of_a_save_spoils_nothing(
    place: Place, operation: str
) -> None:
    """It is cut off, and its successor goes on; then it wakes and does what it was about to do."""

    def overtake() -> None:
        with store_at(place.machine(), attempt=3, objects=place.objects()) as new:
            loaded = new.load_newest()
            assert loaded is not None
            save(new, 20)

    with store_at(place.machine(), attempt=1, objects=place.objects()) as first:
        save(first, 10)
    objects = HookedObjects(place.bucket, credentials=place.credentials, hook=overtake)
    old = store_at(place.machine(), attempt=2, objects=objects)
    assert old.load_newest() is not None
    objects.arm(operation)
    old.save(snapshot_of(20), step=20, epoch=0, tokens=0)
    with suppress(ContractFault):
        old.wait()
    with pytest.raises(CheckpointFault, match="attempt 3 has begun"):
        save(old, 30)
    old.close()
    assert place.committed() == [10, 20]
    with store_at(place.machine(), attempt=4, objects=place.objects()) as last:
        loaded = last.load_newest()
        assert loaded is not None
        assert is_state_of(loaded, 20)
        assert last.take_warnings() == []


def test_an_older_attempt_cannot_even_begin(place: Place) -> None:
    with store_at(place.machine(), attempt=3, objects=place.objects()) as store:
        save(store, 10)
    with pytest.raises(CheckpointFault, match="attempt 3 has begun to write here"):
        store_at(place.machine(), attempt=2, objects=place.objects())
