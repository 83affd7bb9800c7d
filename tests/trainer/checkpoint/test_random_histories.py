"""Random lives of a checkpoint folder: saves, corruption, deaths, new attempts, pins; and what must hold after each event."""

import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lightgpt.checkpoint.listing import pin, unpin
from lightgpt.checkpoint.store import CheckpointStore
from runcontract.faults import CheckpointFault
from runcontract.manifest import checkpoint_name
from runcontract.retention import KnownCheckpoint, retain
from support import corruption
from support.checkpoints import is_state_of, save, store_at
from support.faulty_disks import CountingDisk, Killed, KillingDisk

pytestmark = pytest.mark.slow

KEEP_LATEST = 2


class ALife(RuleBasedStateMachine):
    """`whole` are the committed checkpoints that nobody damaged, with their losses; the rest of the truth is on the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.attempt = 0
        self.step = 0
        self.whole: dict[int, float | None] = {}
        self.damaged: set[int] = set()
        self.pinned: set[int] = set()
        self.has_saved = False
        self.store: CheckpointStore | None = None
        self.begin_attempt()

    def teardown(self) -> None:
        if self.store is not None:
            self.store.close()
        shutil.rmtree(self.folder)

    def begin_attempt(self, at: int = 0) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None
        self.attempt += 1
        disk = KillingDisk(at) if at else CountingDisk()
        self.store = store_at(
            self.folder, attempt=self.attempt, keep_latest=KEEP_LATEST, files=disk
        )
        try:
            loaded = self.store.load_newest()
        except CheckpointFault:
            assert not self.whole, "a whole checkpoint was there"
            assert self.has_saved
            self.forget_the_broken()
            return
        if self.whole:
            assert loaded is not None
            assert is_state_of(loaded, max(self.whole))
            self.step = max(self.whole)
            self.damaged = {step for step in self.damaged if step < self.step}
        else:
            assert loaded is None

    def forget_the_broken(self) -> None:
        """What the fault tells a person to do."""
        for path in self.folder.glob("*.broken-*"):
            shutil.rmtree(path)
        self.damaged.clear()
        self.has_saved = False
        self.step = 0

    @rule(loss=st.none() | st.integers(1, 9).map(float))
    def save(self, loss: float | None) -> None:
        assert self.store is not None
        self.step += 1
        kept = save(self.store, self.step, validation=loss).kept
        self.has_saved = True
        self.whole[self.step] = loss
        self.damaged.clear()  # set aside, since each was looked at before anything was deleted
        rule_says = retain(
            [
                KnownCheckpoint(
                    step=step, verified=True, validation_loss=value, pinned=step in self.pinned
                )
                for step, value in self.whole.items()
            ],
            keep_latest=KEEP_LATEST,
            keep_best=True,
        )
        for step in rule_says.deleted:
            del self.whole[step]
        assert kept == tuple(checkpoint_name(step) for step in sorted(self.whole))

    @rule(loss=st.none() | st.integers(1, 9).map(float), at=st.integers(1, 45))
    def die_while_saving(self, loss: float | None, at: int) -> None:
        """The process ends at any operation of the sweep, the save or the deletions; or none, when there are fewer."""
        whole = dict(self.whole)
        try:
            self.begin_attempt(at)
            self.save(loss)
        except Killed:
            if (self.folder / checkpoint_name(self.step)).is_dir() and self.step not in whole:
                whole[self.step] = loss
                self.has_saved = True
            self.whole = {
                step: value
                for step, value in whole.items()
                if (self.folder / checkpoint_name(step)).is_dir()
            }
            self.must_still_be_there(whole)
        self.begin_attempt()

    def must_still_be_there(self, before: dict[int, float | None]) -> None:
        """Of what was whole, a death may lose only what the rule gives up."""
        if before:
            assert max(before) in self.whole
            scored = [(loss, step) for step, loss in before.items() if loss is not None]
            assert not scored or min(scored)[1] in self.whole
            assert self.pinned & set(before) <= set(self.whole)

    @precondition(lambda self: self.whole)
    @rule(data=st.data(), seed=st.integers(0, 2**16))
    def corrupt(self, data: st.DataObject, seed: int) -> None:
        step = data.draw(st.sampled_from(sorted(self.whole)))
        rng = random.Random(seed)
        rng.choice(corruption.ALONE)(self.folder / checkpoint_name(step), rng)
        del self.whole[step]
        self.damaged.add(step)
        self.begin_attempt()

    @rule()
    def begin_again(self) -> None:
        self.begin_attempt()

    @precondition(lambda self: self.whole)
    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(sorted(self.whole)))
        pin(self.folder, step)
        self.pinned.add(step)

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(sorted(self.pinned)))
        unpin(self.folder, step)
        self.pinned.remove(step)

    @invariant()
    def every_whole_checkpoint_is_on_the_disk(self) -> None:
        missing = [s for s in self.whole if not (self.folder / checkpoint_name(s)).is_dir()]
        assert missing == []

    @invariant()
    def nothing_half_done_is_left_by_a_living_attempt(self) -> None:
        assert not list(self.folder.glob("*.tmp-*"))
        assert not list(self.folder.glob("*.deleted-*"))


TestALife = ALife.TestCase
TestALife.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
