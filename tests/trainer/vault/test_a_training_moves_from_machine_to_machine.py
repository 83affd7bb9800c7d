"""A training that is preempted and goes on elsewhere, with nothing but a bucket in between, ends as one that never was."""

from __future__ import annotations

from pathlib import Path

import pytest

from runcontract.environment import ATTEMPT, S3_CREDENTIALS
from runcontract.exit_codes import ExitCode
from runcontract.faults import StorageFault
from runcontract.progress import Saved, Started
from support.s3_server import Place
from support.training import (
    Workshop,
    file_hashes,
    order_document,
    repeatable_rows,
    reports,
    stop_after,
)


def in_bucket(place: Place) -> dict[str, object]:
    """An order that keeps its checkpoints there."""
    return order_document(
        model={"layers": 1, "embeddingSize": 16, "heads": 2, "contextLength": 16, "dropout": 0.2}
    ) | {"storage": {"s3": place.bucket.document()}, "checkpoints": {"keepLatest": 2}}


def variables(place: Place, attempt: int) -> dict[str, str]:
    return {ATTEMPT: str(attempt), S3_CREDENTIALS: str(place.credentials)}


def test_it_ends_with_the_very_weights_and_rows_of_an_undisturbed_run(
    workshop: Workshop, place: Place
) -> None:
    document = in_bucket(place)
    undisturbed = {key: value for key, value in document.items() if key != "storage"}
    whole = workshop.attempt(undisturbed, "whole")
    steps = []
    for attempt, looks in ((1, 2), (2, 7), (3, 9)):
        results = workshop.attempt(
            document,
            f"machine-{attempt}",
            signals=stop_after(looks),
            variables=variables(place, attempt),
        )
        assert results.exit_code == ExitCode.PREEMPTED
        steps.append(results.steps)
    results = workshop.attempt(document, "machine-4", variables=variables(place, 4))
    assert results.exit_code == ExitCode.DONE
    last = workshop.folder / "machine-4"
    started = [report for report in reports(last) if isinstance(report, Started)]
    assert [report.resumed_from_step for report in started] == [None, *steps]
    assert steps == sorted(steps)
    assert 0 < steps[0] < steps[-1] < 12
    assert file_hashes(last, 12) == file_hashes(workshop.folder / "whole", 12)
    assert repeatable_rows(last) == repeatable_rows(workshop.folder / "whole")
    assert results.best_validation == whole.best_validation
    assert results.sample == whole.sample
    assert [each.step for each in results.checkpoints] == place.committed()
    assert all(each.verified for each in results.checkpoints)
    # What a person looks at is in the bucket as well, as it was when the run ended.
    for name in ("results.json", "metrics.csv", "audit.json"):
        assert place.file(name).read_bytes() == (last / name).read_bytes(), name


def test_a_save_is_told_once_it_is_whole_in_the_bucket(workshop: Workshop, place: Place) -> None:
    workshop.attempt(in_bucket(place), "machine-1", variables=variables(place, 1))
    saved = [each for each in reports(workshop.folder / "machine-1") if isinstance(each, Saved)]
    assert [each.step for each in saved] == [4, 8, 12]
    assert saved[-1].kept == tuple(f"step-{step:08d}" for step in place.committed())


def test_a_bucket_that_refuses_is_told_before_the_first_step(
    workshop: Workshop, place: Place
) -> None:
    place.server.key_files(place.credentials, key="wrong")
    with pytest.raises(StorageFault, match="SignatureDoesNotMatch"):
        workshop.attempt(in_bucket(place), "machine-1", variables=variables(place, 1))
    assert not Path(workshop.folder / "machine-1" / "metrics.csv").exists()


def test_a_key_that_is_not_there_is_told_with_the_place_where_it_is_looked_for(
    workshop: Workshop, place: Place
) -> None:
    (place.credentials / "AWS_SECRET_ACCESS_KEY").unlink()
    with pytest.raises(StorageFault, match=r"found no AWS_SECRET_ACCESS_KEY.*the Secret that"):
        workshop.attempt(in_bucket(place), "machine-1", variables=variables(place, 1))
