"""Random lives of a folder that is pruned by hand: saves, damage, looks, pins, prunes and deaths in the middle of one."""

import random
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lightgpt.checkpoint.listing import pin, unpin
from lightgpt.checkpoint.pruning import prune
from lightgpt.checkpoint.verify import verify_checkpoint
from runcontract.manifest import checkpoint_name
from runcontract.order import Checkpoints
from runcontract.retention import KnownCheckpoint, Retention, retain
from support import corruption
from support.checkpoints import save, store_at
from support.faulty_disks import Killed, KillingDisk

pytestmark = pytest.mark.slow

SETTINGS = st.builds(Checkpoints, keep_latest=st.integers(1, 3), keep_best=st.booleans())


class ALife(RuleBasedStateMachine):
    """`whole` are the checkpoints that nobody damaged, with their losses; `damaged` are there and broken."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.attempt = 0
        self.step = 0
        self.whole: dict[int, float | None] = {}
        self.damaged: set[int] = set()
        self.pinned: set[int] = set()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def there(self) -> set[int]:
        """What is in the folder under a checkpoint's name."""
        return {
            int(path.name[5:]) for path in self.folder.glob("step-*") if path.name[5:].isdigit()
        }

    @rule(loss=st.none() | st.integers(1, 9).map(float), saves=st.integers(1, 3))
    def train(self, loss: float | None, saves: int) -> None:
        """An attempt that saves, sets aside what it finds broken, keeps the rest and leaves."""
        self.attempt += 1
        with store_at(self.folder, attempt=self.attempt, keep_latest=100) as store:
            for _ in range(saves):
                self.step += 1
                save(store, self.step, validation=loss)
                self.whole[self.step] = loss
        self.damaged.clear()

    @precondition(lambda self: self.whole)
    @rule(data=st.data(), seed=st.integers(0, 2**16))
    def corrupt(self, data: st.DataObject, seed: int) -> None:
        step = data.draw(st.sampled_from(sorted(self.whole)))
        rng = random.Random(seed)
        rng.choice(corruption.ALONE)(self.folder / checkpoint_name(step), rng)
        del self.whole[step]
        self.damaged.add(step)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def verify(self, data: st.DataObject) -> None:
        """A look changes nothing, and a checkpoint is never taken for verified because somebody once looked."""
        step = data.draw(st.sampled_from(sorted(self.there)))
        assert self.matches(step) == (step in self.whole)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(sorted(self.there)))
        pin(self.folder, step)
        self.pinned.add(step)

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        step = data.draw(st.sampled_from(sorted(self.pinned)))
        unpin(self.folder, step)
        self.pinned.remove(step)

    @precondition(lambda self: self.there)
    @rule(settings=SETTINGS)
    def prune(self, settings: Checkpoints) -> None:
        outcome = self.outcome(settings)
        dry = prune(self.folder, settings, dry_run=True)
        assert tuple(each.step for each in dry.checkpoints if each.deleted) == outcome.deleted
        assert prune(self.folder, settings).checkpoints == dry.checkpoints
        self.holds_after(settings)
        assert self.there == set(outcome.kept)
        self.forget()
        assert not list(self.folder.glob("*.deleted-*"))

    @precondition(lambda self: self.there)
    @rule(settings=SETTINGS, at=st.integers(1, 20))
    def die_while_pruning(self, settings: Checkpoints, at: int) -> None:
        """The process ends at any operation; or at none, when there are fewer."""
        with suppress(Killed):
            prune(self.folder, settings, files=KillingDisk(at))
        self.holds_after(settings)
        self.forget()

    def matches(self, step: int) -> bool:
        """Whether `lightgpt checkpoint verify` finds every hash as its manifest says."""
        return verify_checkpoint(self.folder / checkpoint_name(step)).hashes == "Matched"

    def outcome(self, settings: Checkpoints) -> Retention:
        """What the rule says of what is truly whole."""
        known = [
            KnownCheckpoint(
                step=step,
                verified=step in self.whole,
                validation_loss=self.whole.get(step),
                pinned=step in self.pinned,
            )
            for step in {*self.whole, *self.damaged}
        ]
        return retain(known, keep_latest=settings.keep_latest, keep_best=settings.keep_best)

    def holds_after(self, settings: Checkpoints) -> None:
        """What may never be lost, said without the rule."""
        before, there = {*self.whole, *self.damaged}, self.there
        newest = max(self.whole, default=None)
        assert self.pinned & before <= there
        assert {step for step in before if newest is None or step >= newest} <= there
        assert set(sorted(self.whole)[-settings.keep_latest :]) <= there
        scored = [(loss, step) for step, loss in self.whole.items() if loss is not None]
        if scored and settings.keep_best:
            assert min(scored)[1] in there

    def forget(self) -> None:
        """What was deleted is no longer there to be spoken of."""
        there = self.there
        self.whole = {step: loss for step, loss in self.whole.items() if step in there}
        self.damaged &= there

    @invariant()
    def everything_that_is_known_is_on_the_disk(self) -> None:
        assert {*self.whole, *self.damaged} <= self.there

    @invariant()
    def what_is_whole_verifies(self) -> None:
        for step in sorted(self.whole)[-1:]:
            assert self.matches(step)


TestALife = ALife.TestCase
TestALife.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
