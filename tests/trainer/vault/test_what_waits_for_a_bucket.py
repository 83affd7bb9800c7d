"""What a carrier holds while the bucket is slow: one checkpoint under way, one that waits, and a program that goes on."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightgpt.carry.bringing import opened_vault
from lightgpt.carry.listening import Listener
from lightgpt.carry.sending import Sender
from lightgpt.carry.terms import Terms
from lightgpt.carry.voice import Voice
from lightgpt.carry.watching import SILENT_SECONDS, Watch
from lightgpt.train.requests import Requests
from lightgpt.vault.documents import Documents
from lightgpt.vault.objects import Objects
from runcontract import folder as layout
from runcontract.environment import AttemptEnvironment
from runcontract.order import Bucket, Checkpoints
from runcontract.progress import Saved, Warned, parse_report, report_line
from support.carried import eventually
from support.checkpoints import save, store_at
from support.s3_server import HookedObjects, Place


class SlowObjects(Objects):
    """A service that takes nothing until it is let."""

    def __init__(self, bucket: Bucket, *, credentials: Path) -> None:
        super().__init__(bucket, credentials=credentials)
        self.let = threading.Event()

    def put_file(self, key: str, path: Path) -> None:
        assert self.let.wait(60)
        super().put_file(key, path)


class Carrier:
    """A carrier without a program; `now_s` is its clock."""

    def __init__(self, place: Place) -> None:
        self.terms = Terms(
            command=("true",),
            folder=place.machine().parent,
            bucket=place.bucket,
            run_uid="run-1",
            environment=AttemptEnvironment(attempt=1),
            variables={},
            settings=Checkpoints(keep_latest=10),
        )
        self.terms.checkpoints.mkdir(exist_ok=True)
        assert self.terms.checkpoints.name == layout.CHECKPOINTS
        self.objects = SlowObjects(place.bucket, credentials=place.credentials)
        self.said = io.BytesIO()
        self.now_s = 0.0
        self.voice = Voice(1, self.said)
        self.ended = threading.Event()
        requests = Requests(None, clock=lambda: self.now_s)
        vault = opened_vault(self.terms, self.objects, self.voice.warn)
        self.sender = Sender(vault, requests, self.voice, end=self.ended.set)
        self.watch = Watch(self.terms, self.sender, self.voice, clock=lambda: self.now_s)

    def save(self, *steps: int) -> None:
        """Checkpoints that the program commits; it keeps the newest alone."""
        with store_at(self.terms.checkpoints, keep_latest=1) as store:
            for step in steps:
                save(store, step)

    def told(self) -> list[int]:
        """Steps that were told as saved."""
        found = (parse_report(line) for line in self.said.getvalue().splitlines())
        return [report.step for report in found if isinstance(report, Saved)]

    def warnings(self) -> list[str]:
        found = (parse_report(line) for line in self.said.getvalue().splitlines())
        return [report.message for report in found if isinstance(report, Warned)]

    def report(self, step: int) -> Saved:
        return Saved.model_validate(
            {
                "time": "2026-01-01T00:00:00Z",
                "attempt": 1,
                "step": step,
                "name": f"step-{step:08d}",
                "sizeBytes": 1,
                "digest": "0" * 64,
                "saveSeconds": 1,
            }
        )


@contextmanager
def carrier_at(place: Place) -> Iterator[Carrier]:
    carrier = Carrier(place)
    try:
        yield carrier
    finally:
        carrier.objects.let.set()
        carrier.sender.finish()


def test_the_third_checkpoint_makes_the_program_wait_and_none_is_left_out(place: Place) -> None:
    """Those that the program has deleted meanwhile are held, and so are they all in the bucket in the end."""
    with carrier_at(place) as carrier:
        passed: list[int] = []

        def speak() -> None:
            for step in (10, 20, 30):
                carrier.save(step)
                carrier.watch.told(carrier.report(step))
                passed.append(step)

        program = threading.Thread(target=speak)
        program.start()
        eventually(lambda: passed == [10, 20])
        program.join(0.3)
        assert program.is_alive()
        assert carrier.told() == []
        carrier.objects.let.set()
        program.join(60)
        eventually(lambda: carrier.told() == [10, 20, 30])
    assert place.committed() == [10, 20, 30]
    assert list(carrier.terms.staging.iterdir()) == []


def test_lines_go_past_a_checkpoint_that_is_still_on_its_way(place: Place) -> None:
    with carrier_at(place) as carrier:
        carrier.save(10)
        raw = f"{report_line(carrier.report(10))}\nlater\n".encode()
        listener = Listener(
            io.BytesIO(raw),
            carrier.voice,
            saved=carrier.watch.told,
            evaluated=carrier.sender.note_validation,
        )
        listener.finish(seconds=60)
        assert carrier.said.getvalue() == b"later\n"
        carrier.objects.let.set()
        eventually(lambda: carrier.told() == [10])


def test_a_checkpoint_that_stands_there_without_a_word_is_sent(place: Place) -> None:
    with carrier_at(place) as carrier:
        carrier.objects.let.set()
        carrier.save(10)
        carrier.watch.look()
        carrier.now_s = SILENT_SECONDS - 1
        carrier.watch.look()
        assert carrier.sender.has_room()
        assert place.committed() == []
        carrier.now_s = SILENT_SECONDS
        carrier.watch.look()
        eventually(lambda: carrier.told() == [10])
        # Told late, it is not told twice.
        carrier.watch.told(carrier.report(10))
    assert carrier.told() == [10]


def test_a_report_of_what_is_no_checkpoint_of_the_run_leads_nowhere(place: Place) -> None:
    with carrier_at(place) as carrier:
        carrier.objects.let.set()
        for name in ("../../etc", "step-10", "step-0000000010", "/etc/passwd"):
            carrier.watch.told(carrier.report(10).model_copy(update={"name": name}))
        assert all("is no name of a checkpoint" in each for each in carrier.warnings())
        assert len(carrier.warnings()) == 4
        carrier.watch.told(carrier.report(10))
        assert "step-00000010 was deleted before the bucket had it" in carrier.warnings()[-1]
    assert place.committed() == []


def test_three_manifests_that_cannot_be_read_end_the_program(place: Place) -> None:
    with carrier_at(place) as carrier:
        carrier.objects.let.set()
        for step in (10, 20, 30):
            assert not carrier.ended.is_set()
            folder = carrier.terms.checkpoints / f"step-{step:08d}"
            folder.mkdir()
            (folder / "manifest.json").write_text("{}", "utf-8")
            carrier.watch.told(carrier.report(step))
        assert carrier.ended.is_set()
        assert "docs/contract.md" in str(carrier.sender.fault)


def test_a_link_in_a_checkpoint_is_no_file_of_it(place: Place, tmp_path: Path) -> None:
    with carrier_at(place) as carrier:
        carrier.objects.let.set()
        carrier.save(10)
        file = carrier.terms.checkpoints / "step-00000010/state.json"
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
        carrier.watch.told(carrier.report(10))
        assert "state.json is not a regular file" in carrier.warnings()[-1]
    assert place.committed() == []


def test_a_document_that_is_removed_while_it_is_sent_is_none(place: Place) -> None:
    """A program of somebody else's makes and removes files as it likes."""
    folder = place.machine().parent
    (folder / "metrics.csv").write_text("step\n", "utf-8")
    (folder / "a-temporary").write_text("x", "utf-8")
    objects = HookedObjects(
        place.bucket,
        credentials=place.credentials,
        hook=(folder / "metrics.csv").unlink,
    )
    objects.arm("put_file")
    Documents(objects, folder).send()
    assert place.names() == {"a-temporary"}
