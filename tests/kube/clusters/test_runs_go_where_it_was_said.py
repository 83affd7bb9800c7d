"""`explain -f` about real clusters: a run that is made right after goes where it was said that it would, or waits as it was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.fleets import GPUS, TYPES, Fleet, candidates, lightcompute, place_of
from support.run_spaces import Run, a_run
from support.testcluster.fleet import CLUSTERS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def a_file(folder: Path, name: str, **spec: Any) -> Path:
    """Of a run that wants the types in their order."""
    placement = {"gpuTypes": list(TYPES.values()), **spec.pop("placement", {})}
    file = folder / f"{name}.yaml"
    document = a_run(name, {"RUN_SECONDS": 60}, {"placement": placement, **spec})
    file.write_text(yaml.safe_dump(document), "utf-8")
    return file


def explained(fleet: Fleet, *words: str) -> str:
    done = lightcompute(fleet, "explain", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def submitted(fleet: Fleet, file: Path) -> Run:
    done = lightcompute(fleet, "submit", str(file))
    assert done.returncode == 0, done.stderr
    uid = fleet.api.get(f"{fleet.space.runs}/{file.stem}")["metadata"]["uid"]
    return Run(space=fleet.space, name=file.stem, uid=uid)


def free(fleet: Fleet, cluster: str, gpus: int) -> None:
    """Returns when the status of the cluster says that its one node has so many free."""
    nodes = ([{"gpus": gpus, "nodes": 1}], [{"gpus": GPUS, "nodes": 1}])

    def is_told(document: dict[str, Any]) -> bool:
        pools = document.get("status", {}).get("nodePools", ())
        return [(pool["freeNodes"], pool["allNodes"]) for pool in pools] == [nodes]

    fleet.api.eventually(f"{CLUSTERS}/{cluster}", is_told, seconds=60)


def table(said: str) -> dict[str, str]:
    """Reason by cluster, as the table has them."""
    lines = said.partition("PLACE ")[2].splitlines()[1:]
    words = {
        line.partition("/")[0]: line.split() for line in lines if line.partition("/")[0] in TYPES
    }
    reasons = {"Chosen", "NotPreferred", "NoCapacity", "QueuedBehind", "TooLarge"}
    return {name: next(word for word in found if word in reasons) for name, found in words.items()}


def test_a_run_goes_where_it_was_said_that_it_would(fleet: Fleet, tmp_path: Path) -> None:
    fleet.join()
    fleet.reachable()
    fleet.submit("first", {"RUN_SECONDS": 60}).in_phase("Running")
    free(fleet, "us-ord1", 1)
    # What an earlier test left there may still be on its way out.
    free(fleet, "us-iad1", GPUS)
    free(fleet, "eu-fra1", GPUS)
    for name, gpus, cluster in (("wide", 2, "us-iad1"), ("narrow", 1, "us-ord1")):
        file = a_file(tmp_path, name, trainer={"numProcPerNode": gpus}, budget={"limitUSD": "9.00"})
        said = explained(fleet, "-f", str(file))
        assert (
            f"{name}: a new run in namespace {fleet.space.namespace}; it would go to {cluster}/"
            in said
        ), said
        assert "which is enough" in said
        status = submitted(fleet, file).in_phase("Running")
        assert place_of(status) == cluster
        assert candidates(status) == table(said)
        free(fleet, cluster, 0)


def test_one_for_which_there_is_no_room_waits_as_it_was_said(fleet: Fleet, tmp_path: Path) -> None:
    fleet.join("us-iad1")
    fleet.reachable("us-iad1")
    whole = {"numProcPerNode": 2}
    fleet.submit("first", {"RUN_SECONDS": 60}, trainer=whole).in_phase("Running")
    free(fleet, "us-iad1", 0)
    second = a_file(tmp_path, "second", trainer=whole)
    assert "it would not start now" in explained(fleet, "-f", str(second))
    waiting = submitted(fleet, second)
    told = waiting.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert (told["placement"]["linePosition"], told["placement"]["lineLength"]) == (1, 1)
    third = a_file(tmp_path, "third")
    said = explained(fleet, "-f", str(third))
    assert "1 of 1 runs that wait, of all namespaces" in said
    assert table(said) == {"us-iad1": "NoCapacity"}
    behind = submitted(fleet, third)
    told = behind.until(lambda status: status.get("reason") == "WaitingForPlace")
    assert candidates(told) == table(said)
    said = explained(fleet, "third")
    assert "it was number 2 of 2 at that round: 1 stood before it" in said
    assert "Next round at " in said
    assert "given up at " in said
    assert table(said) == {"us-iad1": "NoCapacity"}
