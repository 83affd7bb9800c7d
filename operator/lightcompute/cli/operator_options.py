"""The options of `lightcompute operator`, one for each field of its settings: made from the fields, so that none is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click
from pydantic.fields import FieldInfo

from lightcompute.kube.settings import OperatorSettings, PoolSettings
from runcontract.document import parse_model
from runcontract.faults import ConfigurationFault, Fault

_Function = TypeVar("_Function", bound=Callable[..., Any])

VARIABLES = "LIGHTCOMPUTE_OPERATOR_"
NAMES = {
    "cluster": "cluster_name",
    "name": "pool_name",
    "namespaces": "namespace",
    "tolerations": "toleration",
    "extra_gpu_types": "extra_gpu_type",
}
"""Options that are not called like their field: those that are repeated, and those that would say too little."""
_METAVARS = {"node_selector": "LABEL=VALUE", "tolerations": "KEY"}


def settings_options(function: _Function) -> _Function:
    """All of them."""
    for name, field in reversed(tuple(_fields())):
        option = NAMES.get(name, name)
        function = click.option(
            f"--{option.replace('_', '-')}",
            option,
            type=_type(field),
            multiple=_is_repeated(field),
            is_flag=field.annotation is bool,
            metavar=_METAVARS.get(name),
            help=_help(field),
            envvar=f"{VARIABLES}{option.upper()}",
            show_envvar=True,
        )(function)
    return function


def settings_from(given: Mapping[str, Any]) -> OperatorSettings:
    """The settings that the options give; what is not given is as the model says. Raises ConfigurationFault."""
    values = {
        name: given[NAMES.get(name, name)]
        for name, _ in _fields()
        if given[NAMES.get(name, name)] not in (None, ())
    }
    if "tolerations" in values:
        values["tolerations"] = [{"key": key} for key in values["tolerations"]]
    if "node_selector" in values:
        values["node_selector"] = dict(map(_label, values["node_selector"]))
    pool = {name: values.pop(name) for name in PoolSettings.model_fields if name in values}
    return parse_model(OperatorSettings, _document(values) | {"pool": _document(pool)})


def _document(values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys as a document has them, so that faults name them in one way."""
    fields = OperatorSettings.model_fields | PoolSettings.model_fields
    return {
        str(fields[name].alias): list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for name, field in OperatorSettings.model_fields.items():
        if field.annotation is PoolSettings:
            yield from PoolSettings.model_fields.items()
        else:
            yield name, field


def _is_repeated(field: FieldInfo) -> bool:
    return isinstance(field.default, tuple | dict)


def _type(field: FieldInfo) -> click.ParamType[Any] | None:
    # Money is an int inside and a decimal text outside, which its model reads.
    if field.annotation is bool:
        return click.BOOL
    if field.annotation is int and "USD" not in str(field.alias):
        return click.INT
    return click.FLOAT if field.annotation is float else click.STRING


def _help(field: FieldInfo) -> str:
    text = str(field.description)
    if field.default in (None, "", (), {}):
        return text
    default = "0.00" if "USD" in str(field.alias) else field.default
    return f"{text}  [default: {default}]"


def _label(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ConfigurationFault(Fault(where="--node-selector", found=text, expected="LABEL=VALUE"))
    return key, value
