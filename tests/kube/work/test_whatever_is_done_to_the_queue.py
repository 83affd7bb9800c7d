"""A generator does anything to the queue, beside a model that says with sets what must come out."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from lightcompute.kube.work import WorkQueue

KEYS = st.sampled_from("abcdef")


class Anything(RuleBasedStateMachine):
    taken = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = WorkQueue(lambda: self.now)
        self.wanted: dict[str, float] = {}
        """Keys that a look is owed to, and since when."""
        self.due: dict[str, float] = {}
        self.working: set[str] = set()

    def pass_time(self) -> None:
        for key, when in sorted(self.due.items(), key=lambda item: item[1]):
            if when <= self.now:
                del self.due[key]
                self.wanted.setdefault(key, self.now)

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.wanted.setdefault(key, self.now)

    @rule(key=KEYS, seconds=st.floats(min_value=-5, max_value=50))
    def add_at(self, key: str, seconds: float) -> None:
        when = self.now + seconds
        self.queue.add_at(key, when)
        self.due[key] = min(when, self.due.get(key, when))

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.due.pop(key, None)

    @rule(seconds=st.floats(min_value=0, max_value=20))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def take(self) -> None:
        self.pass_time()
        key = self.queue.next()
        free = self.wanted.keys() - self.working
        if key is None:
            assert not free, "a key was owed a look and did not get it"
            return
        assert key not in self.working, "two looks at once"
        assert key in free, "a look that nobody wanted"
        del self.wanted[key]
        self.working.add(key)

    @rule(key=KEYS)
    def done(self, key: str) -> None:
        if key in self.working:
            self.queue.done(key)
            self.working.discard(key)

    @rule()
    def finish_everything(self) -> None:
        """Nothing that is owed is ever lost."""
        for key in sorted(self.working):
            self.queue.done(key)
        self.working.clear()
        self.pass_time()
        owed = set(self.wanted)
        found = set()
        while (taken := self.queue.next()) is not None:
            found.add(taken)
            self.queue.done(taken)
        assert found == owed
        self.wanted.clear()

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.queue._times) <= 2 * 6 + 64
        assert self.queue.scheduled == len(self.due) or any(
            when <= self.now for when in self.due.values()
        )


TestAnything = Anything.TestCase
