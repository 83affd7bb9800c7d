"""Makes a failing sequence short: a person reads three steps and not thirty."""

from __future__ import annotations

from collections.abc import Callable

from support.sequences.play import Played, play
from support.sequences.setting import Sequence

_TRIES = 500


def shortened(failed: Played, player: Callable[[Sequence], Played] = play) -> Played:
    """The shortest sequence found that fails too, for whatever reason."""
    tries = 0
    found = True
    while found and tries < _TRIES:
        found = False
        for sequence in failed.sequence.shorter():
            tries += 1
            played = player(sequence)
            if played.fault:
                failed, found = played, True
                break
    return failed
