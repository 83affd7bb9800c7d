"""Estimates say what they rest on and follow their stated arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

from lightcompute.core.estimate import (
    Basis,
    cpu_flops,
    estimate,
    expected_steps,
    flops_per_token,
    gpu_flops,
    measured_speed,
    multiplied_weights,
)
from lightcompute.testing.builders import a_run, an_ended_attempt
from runcontract.document import parse_model
from runcontract.order import Training


def training(**parts: Any) -> Training:
    document = {"data": {"dataset": "tinyshakespeare"}, "maxSteps": 1000} | parts
    return parse_model(Training, document)


BASELINE = training(
    model={"preset": "baseline"}, tokenizer={"type": "BPE", "vocabSize": 16_000}, maxSteps=3000
)


def test_a_measured_speed_wins_over_the_model() -> None:
    told = estimate(training(), rate=3_600_000, measured_tokens_per_second=2048.0, flops=1e15)
    assert told is not None
    assert (told.basis, told.seconds, told.cost) == (Basis.MEASURED, 1000.0, 1_000_000)
    assert "as measured before" in str(told)


def test_the_rough_model_says_that_it_is_rough() -> None:
    told = estimate(BASELINE, rate=0, flops=cpu_flops(2, BASELINE))
    assert told is not None
    assert told.basis is Basis.ROUGH_MODEL
    assert "rough model" in str(told)
    # Measured for this shape on two threads in FP32: 1,000 to 1,400 tokens a second.
    assert 400 < told.tokens_per_second < 4000


def test_the_weights_of_the_baseline_are_counted_as_written() -> None:
    # 6 blocks of 12 x 384 x 384 and an output layer of 16,000 x 384.
    weights = multiplied_weights(BASELINE.model, 16_000)
    assert weights == 6 * 12 * 384 * 384 + 16_000 * 384
    assert flops_per_token(BASELINE) == 6 * weights + 12 * 6 * 384 * 256


def test_epochs_need_the_length_of_the_text() -> None:
    by_files = {"data": {"files": ["a.txt"]}, "maxSteps": None, "maxEpochs": 2}
    assert expected_steps(training(**by_files)) is None
    assert expected_steps(training(**by_files), 20_480) == 20
    assert estimate(training(**by_files), rate=1, measured_tokens_per_second=5.0) is None


def test_accumulated_batches_take_their_time() -> None:
    plain = estimate(training(), rate=3_600_000, measured_tokens_per_second=2048.0)
    told = estimate(
        training(gradientAccumulationSteps=4), rate=3_600_000, measured_tokens_per_second=2048.0
    )
    assert plain is not None
    assert told is not None
    assert (told.seconds, told.cost) == (4 * plain.seconds, 4 * plain.cost)


def test_nothing_is_made_up_for_an_unknown_device() -> None:
    assert gpu_flops("TPU-v9", 8, training()) is None
    assert estimate(training(), rate=1) is None


@pytest.mark.parametrize("devices", [1, 8])
def test_more_devices_do_more(devices: int) -> None:
    one = gpu_flops("L40S", 1, training(precision="BF16"))
    assert one is not None
    assert gpu_flops("L40S", devices, training(precision="BF16")) == one * devices


def test_the_newest_measured_speed_counts() -> None:
    run = a_run().with_attempts(
        an_ended_attempt(1, tokens_per_second=10.0),
        an_ended_attempt(2, tokens_per_second=20.0),
        an_ended_attempt(3),
    )
    assert measured_speed(run.build().status) == 20.0
