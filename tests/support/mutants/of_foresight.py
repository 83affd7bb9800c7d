"""Faults in what people are told of how a run will go on: whether its target is likely to be met in time."""

from __future__ import annotations

from support.mutants.mutant import Mutant

_OUTLOOK = "operator/lightcompute/core/target_outlook.py"
_LIKELIHOOD = "operator/lightcompute/core/likelihood.py"
_OF_TARGETS = ("tests/core/test_whether_a_target_is_likely_to_be_met.py",)

OF_FORESIGHT: tuple[Mutant, ...] = (
    Mutant(
        name="the-cap-does-not-shorten-the-curve",
        file=_OUTLOOK,
        old="    end = last if cap.step is None else",
        new="    end = last if cap.step is not None else",
        breaks="A target that would be met after the cap is called likely.",
        tests=_OF_TARGETS,
    ),
    Mutant(
        name="likely-by-the-low-end",
        file=_OUTLOOK,
        old="    if expected.high <= at_most:\n",
        new="    if expected.low <= at_most:\n",
        breaks="What may be met if all goes well is called likely.",
        tests=_OF_TARGETS,
    ),
    Mutant(
        name="a-loss-never-scored-counts",
        file=_OUTLOOK,
        old="    return max(step - step % every, min(newest, step))\n",
        new="    return step\n",
        breaks="A run is told to be scored where the cap ends it, which it is not.",
        tests=_OF_TARGETS,
    ),
    Mutant(
        name="only-the-best-law-is-believed",
        file=_LIKELIHOOD,
        old="    good = best + _TOLERANCE * variance\n",
        new="    good, newest = best, False\n",
        breaks="The range is that of one fit, as if the beginning of a curve told how it goes on.",
        tests=(
            "tests/core/test_how_losses_are_extrapolated.py",
            "tests/core/test_forecasts_against_real_curves.py",
        ),
    ),
)
