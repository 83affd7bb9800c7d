"""The CustomResourceDefinitions: equal to the models, in the form that Kubernetes wants, and worth reading."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import BaseModel, Field, StringConstraints

from lightcompute.api.crd import (
    RESOURCES,
    TRAINING_CLUSTER,
    TRAINING_RUN,
    Resource,
    Rule,
    definition,
)
from lightcompute.api.crd.file_text import file_text
from lightcompute.api.crd.schema import Additions, Side, structural
from runcontract.base import ContractModel
from runcontract.order import FREE_TO_CHANGE, Model, Training
from support.schemas import Schema, nodes, schema_of

LARGEST_BYTES = 262_144
"""`kubectl apply` keeps the whole document in an annotation, which may not be larger."""


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_the_file_is_what_the_models_say(resource: Resource, checkout: Path) -> None:
    file = checkout / "crds" / f"{resource.plural}.yaml"
    assert file.read_text(encoding="utf-8") == file_text(resource), (
        "crds/ is older than the models: run `.venv/bin/python -P -m lightcompute.api.crd`"
    )


def test_the_folder_holds_nothing_else(checkout: Path) -> None:
    found = {path.name for path in (checkout / "crds").iterdir()}
    assert found == {f"{resource.plural}.yaml" for resource in RESOURCES}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_the_file_is_plain_yaml_and_small_enough_to_apply(resource: Resource) -> None:
    assert yaml.safe_load(file_text(resource)) == definition(resource)
    assert len(file_text(resource).encode()) < LARGEST_BYTES


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_everything_in_it_is_bounded_and_described(resource: Resource) -> None:
    schema = schema_of(resource)
    for path, node in nodes(schema):
        head = path.partition(".")[0]
        if head in {"", "apiVersion", "kind", "metadata"}:
            continue
        assert node["type"] in {"object", "array", "string", "integer", "number", "boolean"}, path
        assert not {"$ref", "anyOf", "title", "nullable", "const"} & set(node), path
        if node["type"] == "string":
            assert {"maxLength", "enum", "format"} & set(node), path
        if node["type"] == "array":
            assert "maxItems" in node, path
            assert "x-kubernetes-list-type" in node, path
        if node["type"] == "object":
            assert "properties" in node or "maxProperties" in node, path
        for key, below in node.get("properties", {}).items():
            assert len(below["description"]) > 3, f"{path}.{key}"


def test_a_preset_is_not_overridden_by_defaults() -> None:
    model = schema_of(TRAINING_RUN)["properties"]["spec"]["properties"]["training"]["properties"][
        "model"
    ]
    assert [path for path, node in nodes(model, "model") if "default" in node] == []
    assert model["properties"]["layers"]["description"].endswith(
        "6 when neither this key nor the preset says another."
    )
    assert "`preset`" in model["description"]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_the_status_has_no_defaults_and_takes_words_that_were_added_later(
    resource: Resource,
) -> None:
    status = schema_of(resource)["properties"]["status"]
    assert [path for path, node in nodes(status) if "default" in node] == []
    assert [path for path, node in nodes(status) if "enum" in node] == []


def test_the_words_of_a_status_are_told_in_its_description() -> None:
    run, cluster = (
        schema_of(resource)["properties"]["status"]["properties"]
        for resource in (TRAINING_RUN, TRAINING_CLUSTER)
    )
    assert "Pending, Starting" in run["phase"]["description"]
    question = cluster["conditions"]["items"]["properties"]["type"]
    assert "Accepted, Reachable, PoolsMatch" in question["description"]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_every_model_with_a_rule_between_its_fields_says_it_to_the_server_too(
    resource: Resource,
) -> None:
    with_rules = set(resource.additions.rules)
    assert {model for model in reachable(resource.spec) if has_rule(model)} - with_rules == set()


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_a_list_or_text_that_may_not_be_empty_may_not_be_so_for_the_server(
    resource: Resource,
) -> None:
    generated = resource.spec.model_json_schema()
    models = [generated, *generated["$defs"].values()]
    names = {
        key
        for model in models
        for key, field in model.get("properties", {}).items()
        for part in (field, *field.get("anyOf", ()))
        if {"minItems", "minLength"} & set(part)
    }
    bounded = {
        path.rpartition(".")[2]
        for path, node in nodes(schema_of(resource))
        if {"minItems", "minLength"} & set(node)
    }
    assert names - bounded == set()


def has_rule(model: type[BaseModel]) -> bool:
    validators = model.__pydantic_decorators__.model_validators.values()
    return any(validator.info.mode == "after" for validator in validators)


def reachable(model: type[BaseModel]) -> set[type[BaseModel]]:
    """`model` and every model below it."""
    found: set[type[BaseModel]] = set()
    waiting: list[Any] = [model]
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, BaseModel):
            if each not in found:
                found.add(each)
                waiting += [field.annotation for field in each.model_fields.values()]
        else:
            waiting += getattr(each, "__args__", ())
    return found


def test_every_field_that_decides_numbers_is_held_from_the_start_on() -> None:
    (rule,) = (rule for rule in TRAINING_RUN.rules if rule.finds)
    held = set(re.findall(r"self\.(spec\.[\w.]+) == oldSelf", rule.holds))
    assert held == set(re.findall(r"' (spec\.[\w.]+)'", rule.finds)) - {"spec.training"}
    keys = {Training.model_fields[name].alias or name for name in Training.model_fields}
    assert {f"spec.training.{key}" for key in keys - FREE_TO_CHANGE} <= held
    assert not {f"spec.training.{key}" for key in FREE_TO_CHANGE} & held


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.plural)
def test_every_rule_says_what_to_do(resource: Resource) -> None:
    rules = [rule for each in resource.additions.rules.values() for rule in each]
    for rule in (*rules, *resource.rules):
        assert len(rule.message) > 20, rule
        assert "\n" not in rule.message


class Texts(ContractModel):
    """A model to make a schema of."""

    word: Annotated[str, StringConstraints(max_length=3)] = Field(description="A word.")


def made(model: type[BaseModel]) -> Schema:
    return structural(model, Side(additions=Additions(), is_spec=True))


def test_a_text_without_a_bound_stops_the_making() -> None:
    class Endless(ContractModel):
        """A model."""

        lines: tuple[str, ...] = Field(max_length=3, description="Lines.")

    with pytest.raises(ValueError, match=r"lines\[\]: found a text without maxLength"):
        made(Endless)


def test_a_list_or_a_map_without_a_bound_stops_the_making() -> None:
    class Long(ContractModel):
        """A model."""

        lines: tuple[Texts, ...] = Field(description="Lines.")

    class Wide(ContractModel):
        """A model."""

        words: dict[str, int] = Field(description="Words.")

    with pytest.raises(ValueError, match="lines: found no maxItems"):
        made(Long)
    with pytest.raises(ValueError, match="words: found no maxProperties"):
        made(Wide)


def test_a_field_without_description_stops_the_making() -> None:
    class Silent(ContractModel):
        """A model."""

        count: int = 1

    with pytest.raises(ValueError, match="count: found no description"):
        made(Silent)


def test_a_choice_between_types_stops_the_making() -> None:
    class Either(ContractModel):
        """A model."""

        one: int | bool | None = Field(default=None, description="One.")

    with pytest.raises(ValueError, match="one: found 2 types"):
        made(Either)


def test_a_list_that_is_a_map_needs_its_key() -> None:
    class Listing(ContractModel):
        """A model."""

        words: tuple[Texts, ...] = Field(max_length=3, description="Words.")

    by_word = Additions(list_keys={(Listing, "words"): "word"})
    found = structural(Listing, Side(additions=by_word, is_spec=True))
    assert found["properties"]["words"]["x-kubernetes-list-map-keys"] == ["word"]
    by_name = Additions(list_keys={(Listing, "words"): "name"})
    with pytest.raises(ValueError, match="found no required key name"):
        structural(Listing, Side(additions=by_name, is_spec=True))


def test_bounds_that_are_left_out_and_defaults_keep_their_meaning() -> None:
    class Numbers(ContractModel):
        """Numbers. They are many."""

        share: float = Field(default=0.5, gt=0, lt=1, description="A share.")
        count: int | None = Field(default=None, ge=1, description="A count.")
        nothing: str = Field(default="", max_length=3, description="Nothing.")

    class Outer(ContractModel):
        """A model."""

        numbers: Numbers = Field(default=Numbers(), description="Numbers.")

    numbers = made(Outer)["properties"]["numbers"]
    assert numbers["description"] == "Numbers. They are many."
    assert numbers["default"] == {}
    assert numbers["properties"] == {
        "share": {
            "description": "A share.",
            "type": "number",
            "minimum": 0,
            "exclusiveMinimum": True,
            "maximum": 1,
            "exclusiveMaximum": True,
            "default": 0.5,
        },
        "count": {"description": "A count.", "type": "integer", "format": "int64", "minimum": 1},
        "nothing": {"description": "Nothing.", "type": "string", "maxLength": 3},
    }


def test_a_rule_knows_its_place() -> None:
    assert Rule(holds="true", message="m", field="a.b").document() == {
        "rule": "true",
        "message": "m",
        "fieldPath": ".a.b",
    }


def test_a_rule_may_find_its_words_in_the_object() -> None:
    finding = Rule(holds="true", message="m", finds="self.a")
    assert finding.document() == {"rule": "true", "message": "m", "messageExpression": "self.a"}


def test_the_model_s_own_description_teaches_families() -> None:
    mlp = schema_of(TRAINING_RUN)["properties"]["spec"]["properties"]["training"]["properties"][
        "model"
    ]["properties"]["mlp"]
    assert mlp["enum"] == ["GELU", "ReLUSquared", "SwiGLU", "GeGLU"]
    assert all(word in mlp["description"] for word in ("LLaMA", "Gemma", "NeoX"))
    assert set(Model.model_fields) >= {"mlp"}


def test_what_one_writer_writes_as_one_value_is_one_value_to_the_server() -> None:
    spec, status = (schema_of(TRAINING_RUN)["properties"][side] for side in ("spec", "status"))
    of_cluster = schema_of(TRAINING_CLUSTER)["properties"]
    atomic = "x-kubernetes-map-type"
    assert [side for side in ("spec", "status") if atomic in of_cluster[side]] == ["status"]
    assert (status[atomic], spec["properties"]["training"][atomic]) == ("atomic", "atomic")
    # What people and programs set beside each other is told apart.
    assert not {atomic} & set(spec)
    assert not {atomic} & set(spec["properties"]["trainer"])
