from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.api.words import Phase
from lightcompute.core.revise import revised
from lightcompute.kube.reading import Unreadable
from lightcompute.kube.runs import RunStore, is_newer

SPEC = {"training": {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 100}}


def document(version: int | str, *, uid: str = "uid-1", phase: str = "Pending") -> dict[str, Any]:
    return {
        "metadata": {
            "name": "baseline",
            "namespace": "team-a",
            "uid": uid,
            "resourceVersion": str(version),
        },
        "spec": SPEC,
        "status": {"phase": phase},
    }


def phase(store: RunStore, uid: str = "uid-1") -> Phase:
    read = store.get(uid)
    assert read is not None
    return read.run.status.phase


@given(versions=st.lists(st.integers(1, 20), min_size=1))
def test_the_newest_version_is_kept_in_whatever_order_they_come(versions: list[int]) -> None:
    store, newest = RunStore(), 0
    for version in versions:
        news = store.seen(document(version))
        assert (news is not None) == (version > newest)
        newest = max(newest, version)
        assert store.versions() == {"uid-1": str(newest)}


def test_versions_are_compared_as_numbers() -> None:
    assert is_newer("10", "9")
    assert not is_newer("9", "10")
    assert not is_newer("9", "9")
    assert is_newer("99999999999999999999", "9")


@pytest.mark.parametrize("version", ["", "x", "1a", "-1", "²"])
def test_a_version_that_is_no_number_is_news_unless_it_is_the_same(version: str) -> None:
    assert is_newer(version, "9")
    assert is_newer("9", version)
    assert not is_newer(version, version)


def test_the_echo_of_our_own_write_is_no_news() -> None:
    store = RunStore()
    assert store.seen(document(1)) == "uid-1"
    read = store.get("uid-1")
    assert read is not None
    metadata = read.run.metadata.model_copy(update={"resource_version": "2"})
    status = revised(read.run.status, phase=Phase.RUNNING)
    store.wrote(read.run.with_status(status).model_copy(update={"metadata": metadata}))
    assert phase(store) is Phase.RUNNING
    assert store.seen(document(2, phase="Running")) is None
    assert store.seen(document(1)) is None
    assert phase(store) is Phase.RUNNING
    assert store.seen(document(3, phase="Failed")) == "uid-1"
    assert phase(store) is Phase.FAILED


def test_a_write_that_a_newer_version_overtook_changes_nothing() -> None:
    store = RunStore()
    store.seen(document(1))
    old = store.get("uid-1")
    store.seen(document(5, phase="Failed"))
    store.get("uid-1")
    assert old is not None
    metadata = old.run.metadata.model_copy(update={"resource_version": "3"})
    store.wrote(old.run.model_copy(update={"metadata": metadata}))
    assert phase(store) is Phase.FAILED
    assert store.versions() == {"uid-1": "5"}


def test_faults_of_a_spec_outlive_our_own_writes() -> None:
    store = RunStore()
    store.seen(document(1) | {"spec": SPEC | {"unknown": 1}})
    read = store.get("uid-1")
    assert read is not None
    metadata = read.run.metadata.model_copy(update={"resource_version": "2"})
    store.wrote(read.run.model_copy(update={"metadata": metadata}))
    again = store.get("uid-1")
    assert again is not None
    assert again.faults == read.faults != ()


def test_a_run_that_is_gone_is_gone_and_another_of_its_name_is_another() -> None:
    store = RunStore()
    store.seen(document(1))
    store.seen(document(2, uid="uid-2", phase="Failed"))
    assert store.name("uid-1") == store.name("uid-2") == ("team-a", "baseline")
    store.gone("uid-1")
    store.gone("uid-1")
    assert store.get("uid-1") is None
    assert store.name("uid-1") is None
    assert store.keys() == ("uid-2",)
    assert len(store) == 1
    assert phase(store, "uid-2") is Phase.FAILED


def test_a_write_to_a_run_that_is_gone_does_not_bring_it_back() -> None:
    store = RunStore()
    store.seen(document(1))
    read = store.get("uid-1")
    store.gone("uid-1")
    assert read is not None
    store.wrote(read.run)
    assert len(store) == 0


def test_what_cannot_be_read_says_so_at_each_look_and_is_in_no_figure() -> None:
    store = RunStore()
    store.seen(document(1, phase="Dancing"))
    for _ in range(2):
        with pytest.raises(Unreadable):
            store.get("uid-1")
    assert store.readable() == ()
    store.seen(document(2))
    assert phase(store) is Phase.PENDING
    assert len(store.readable()) == 1
