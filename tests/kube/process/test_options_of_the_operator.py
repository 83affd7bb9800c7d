from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from lightcompute.cli.operate import operator
from lightcompute.cli.operator_options import NAMES, settings_from, settings_options
from lightcompute.kube.settings import OperatorSettings, PoolSettings
from runcontract.faults import ConfigurationFault


def settings(*arguments: str, env: dict[str, str] | None = None) -> OperatorSettings:
    """What a command with these options would work with."""
    found: list[OperatorSettings] = []

    @click.command()
    @settings_options
    def command(**given: Any) -> None:
        found.append(settings_from(given))

    done = CliRunner().invoke(command, arguments, env=env, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return found[0]


def test_without_options_the_settings_are_those_of_the_model() -> None:
    assert settings() == OperatorSettings()


def test_every_field_of_the_settings_is_an_option_with_a_variable_and_a_sentence() -> None:
    fields = {*OperatorSettings.model_fields, *PoolSettings.model_fields} - {"pool"}
    options = {parameter.name: parameter for parameter in operator.params}
    for name in fields:
        option = options[NAMES.get(name, name)]
        assert isinstance(option, click.Option)
        assert option.opts == [f"--{NAMES.get(name, name).replace('_', '-')}"]
        assert option.envvar == f"LIGHTCOMPUTE_OPERATOR_{NAMES.get(name, name).upper()}"
        assert option.help


def test_each_option_reaches_its_field() -> None:
    made = settings(
        *("--trainer-image", "trainer:1", "--namespace", "a", "--namespace", "b"),
        *("--cluster-name", "ord", "--region", "US-ORD1", "--pool-name", "gpu"),
        *("--gpu-type", "L40S", "--node-selector", "pool=gpu", "--node-selector", "zone=x=y"),
        *("--toleration", "nvidia.com/gpu", "--price-per-gpu-hour-usd", "1.25"),
        *("--gpu-resource", "", "--grace-seconds", "45", "--http-port", "0"),
        *("--lease-namespace", "kube-system", "--log-reads-per-second", "2.5"),
    )
    assert made.namespaces == ("a", "b")
    assert made.trainer_image == "trainer:1"
    assert str(made.pool.place) == "ord/US-ORD1/gpu/L40S"
    assert made.pool.node_selector == {"pool": "gpu", "zone": "x=y"}
    assert [each.key for each in made.pool.tolerations] == ["nvidia.com/gpu"]
    assert made.pool.price_per_gpu_hour_usd == 1_250_000
    assert made.pool.gpu_resource == ""
    assert (made.grace_seconds, made.http_port, made.log_reads_per_second) == (45, 0, 2.5)
    assert made.lease_namespace == "kube-system"


def test_the_environment_gives_what_the_command_line_does_not() -> None:
    made = settings(
        *("--gpu-type", "L40S"),
        env={
            "LIGHTCOMPUTE_OPERATOR_GPU_TYPE": "A100-40GB",
            "LIGHTCOMPUTE_OPERATOR_NAMESPACE": "a b",
            "LIGHTCOMPUTE_OPERATOR_NODE_SELECTOR": "x=1 y=2",
            "LIGHTCOMPUTE_OPERATOR_PRICE_PER_GPU_HOUR_USD": "2",
            "LIGHTCOMPUTE_OPERATOR_WORKERS": "3",
        },
    )
    assert made.pool.gpu_type == "L40S"
    assert made.namespaces == ("a", "b")
    assert made.pool.node_selector == {"x": "1", "y": "2"}
    assert made.pool.price_per_gpu_hour_usd == 2_000_000
    assert made.workers == 3


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("--price-per-gpu-hour-usd", "free"), "pricePerGPUHourUSD"),
        (("--grace-seconds", "0"), "graceSeconds"),
        (("--node-selector", "gpu"), "--node-selector"),
        (("--lease-seconds", "1"), "leaseSeconds"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_done(
    arguments: tuple[str, ...], where: str
) -> None:
    with pytest.raises(ConfigurationFault, match=where):
        settings(*arguments)
