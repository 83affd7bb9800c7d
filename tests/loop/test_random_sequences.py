"""Random sequences of everything that can befall a run, and what must hold at every moment of them: see support/sequences/rules.py."""

from __future__ import annotations

import pytest

from lightcompute.api.training_run import TrainingRun
from lightcompute.core.decision import Action
from lightcompute.testing.trainer import Script
from lightcompute.testing.troubles import Trouble
from lightcompute.testing.world import World
from support.sequences.chance import drawn
from support.sequences.play import Played, play
from support.sequences.run import main
from support.sequences.setting import Sequence, Setting
from support.sequences.shorten import shortened
from support.sequences.steps import Cut, Limit, Price, Strike, Suspend, Wait
from support.sequences.tally import played

EACH = 50
ENDLESS = Script(steps=100_000, deaf=True)


@pytest.mark.parametrize("first", range(0, 300, EACH))
def test_whatever_happens_the_cap_holds_and_so_does_what_is_told(first: int) -> None:
    tally = played(range(first, first + EACH))
    assert tally.failed == (), shortened(tally.failed[0])
    assert tally.unprovoked.amount == 0
    assert tally.closest.share <= 1


FOUND = {
    "a price that rises before the start": Sequence(
        seed=7,
        setting=Setting(limit=865, rates=(67_000,), grace_seconds=5),
        steps=(Price(place=0, rate=16_867_000),),
    ),
    "cut off before it was seen to start": Sequence(
        seed=107,
        setting=Setting(limit=382_175, rates=(5_780_000,)),
        steps=(Cut(place=0, seconds=511.413), Wait(seconds=495)),
    ),
    "a price that falls where clocks differ": Sequence(
        seed=166,
        setting=Setting(limit=277_747, rates=(5_736_000,), skew_seconds=10, ahead_seconds=10),
        steps=(Wait(seconds=2), Price(place=0, rate=169_000)),
    ),
    "a cap that is lowered as a price falls where clocks differ": Sequence(
        seed=4542,
        setting=Setting(
            limit=6_744_236,
            rates=(20_535_000,),
            skew_seconds=10,
            ahead_seconds=-10,
            is_watched=False,
        ),
        steps=(Limit(amount=88_551), Price(place=0, rate=18_183_000)),
    ),
    "asked for again after minutes, and lost": Sequence(
        seed=0,
        setting=Setting(
            limit=400_000, rates=(3_600_000, 3_600_000), script=ENDLESS, speaks_contract=False
        ),
        steps=(
            Wait(seconds=10),
            Suspend(value=True),
            Wait(seconds=60),
            Strike(calls=2, trouble=Trouble.REQUEST_LOST, seconds=0),
            Suspend(value=False),
            Cut(place=0, seconds=260),
            Wait(seconds=260.5),
            Cut(place=0, seconds=5000),
            Wait(seconds=230),
            Limit(amount=4_000_000),
            Wait(seconds=2000),
        ),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_sequences_found_does_not_come_back(name: str) -> None:
    assert play(FOUND[name]).fault == ""


def test_a_seed_gives_the_same_sequence_and_the_same_play() -> None:
    assert drawn(4711) == drawn(4711) != drawn(4712)
    assert play(drawn(4711)) == play(drawn(4711))


class Forgetful(World):
    """Its places end attempts a minute later than they were told."""

    async def perform(self, run: TrainingRun, action: Action) -> None:
        """As it is meant, and then wrong."""
        known = set(self.attempts)
        await super().perform(run, action)
        for number in set(self.attempts) - known:
            attempt = self.attempts[number]
            if attempt.deadline_seconds is not None:
                attempt.deadline_seconds += 60


def play_forgetfully(sequence: Sequence) -> Played:
    return play(sequence, sequence.setting.world(Forgetful))


def test_a_world_that_breaks_the_cap_is_found_out_and_told_in_few_steps() -> None:
    failed = next(each for seed in range(100) if (each := play_forgetfully(drawn(seed))).fault)
    short = shortened(failed, play_forgetfully)
    assert "if everybody died now it would cost" in short.fault
    assert len(short.sequence.steps) <= 1
    assert f"seed {failed.sequence.seed}\n  Setting(" in str(short)


def test_the_command_prints_seeds_and_figures_and_plays_one_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--sequences", "1", "--seed", "4711", "--jobs", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("seeds 4711 to 4711\n1 sequences, ")
    assert "worst overshoot with no cap lowered and no price risen: 0.000000 USD\n" in told
