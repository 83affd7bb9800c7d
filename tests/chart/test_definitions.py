"""The CustomResourceDefinitions of the chart are those of crds/, but for labels and the wish to stay."""

from __future__ import annotations

import pytest
import yaml

from support.helm_chart import Helm, of_kind
from support.source import CHECKOUT


def originals() -> dict[str, dict[str, object]]:
    files = sorted((CHECKOUT / "crds").glob("*.yaml"))
    read = (yaml.safe_load(file.read_text(encoding="utf-8")) for file in files)
    return {each["metadata"]["name"]: each for each in read}


def test_each_definition_is_installed_as_it_is(helm: Helm) -> None:
    made = of_kind(helm.render(), "CustomResourceDefinition")

    assert {each["metadata"]["name"]: each["spec"] for each in made} == {
        name: each["spec"] for name, each in originals().items()
    }


@pytest.mark.parametrize("keep", [True, False])
def test_a_definition_outlives_the_release_unless_that_is_not_wanted(
    helm: Helm, keep: bool
) -> None:
    made = of_kind(helm.render({"crds": {"keep": keep}}), "CustomResourceDefinition")

    assert made
    for each in made:
        annotations = each["metadata"].get("annotations", {})
        assert (annotations.get("helm.sh/resource-policy") == "keep") is keep
        assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == "lightcompute"


def test_without_definitions_there_are_none(helm: Helm) -> None:
    assert of_kind(helm.render({"crds": {"enabled": False}}), "CustomResourceDefinition") == ()
