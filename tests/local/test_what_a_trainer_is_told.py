from __future__ import annotations

from pathlib import Path

import pytest

from lightcompute.local.command import variables
from lightcompute.local.folder import RunFolder
from lightcompute.testing.builders import a_run
from runcontract import environment


def told(tmp_path: Path, stop_after_seconds: int | None, **inherited: str) -> dict[str, str]:
    return variables(
        a_run().build(),
        RunFolder(tmp_path / "one"),
        attempt=2,
        stop_after_seconds=stop_after_seconds,
        termination_log=tmp_path / "termination",
        inherited=inherited,
    )


def test_a_trainer_is_told_by_when_it_has_to_leave(tmp_path: Path) -> None:
    assert told(tmp_path, 53)[environment.STOP_AFTER_SECONDS] == "53"


def test_a_trainer_is_told_where_it_is_asked_for_things(tmp_path: Path) -> None:
    assert told(tmp_path, None)[environment.REQUESTS] == str(tmp_path / "one" / "requests")


@pytest.mark.parametrize("outer", ["", "7"])
def test_a_deadline_of_whoever_started_us_is_not_the_trainers(tmp_path: Path, outer: str) -> None:
    inherited = {environment.STOP_AFTER_SECONDS: outer}
    assert told(tmp_path, None, **inherited)[environment.STOP_AFTER_SECONDS] == ""
