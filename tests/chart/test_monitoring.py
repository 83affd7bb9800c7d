"""Alerts and dashboard ask for metrics that the operator has, by labels and values that these have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from lightcompute.api.words import Phase
from support.helm_chart import CHART, Helm, of_kind, the
from support.source import CHECKOUT, PACKAGES

ALERTS = {"metrics": {"alerts": {"enabled": True, "namespaceSpentUSD": 250}}}
_METRIC = re.compile(r"\blightcompute_[a-z_]+")
_MADE = re.compile(r"(counter|Histogram|Info)?(?:\(\s*)?\"(lightcompute_[a-z_]+)\"")
# As Prometheus' client exports them: a counter's name gets `_total`, a histogram has three series, a gauge one.
_SUFFIXES = {
    "": ("",),
    "counter": ("_total",),
    "Histogram": ("_bucket", "_sum", "_count"),
    "Info": ("_info",),
}


def exported() -> set[str]:
    """Names that the operator exports, from where they are made."""
    names: set[str] = set()
    for name in ("metrics", "process", "cluster_gauges", "money_gauges"):
        text = (PACKAGES["lightcompute"] / f"kube/{name}.py").read_text(encoding="utf-8")
        for kind, metric in _MADE.findall(text):
            names |= {metric + suffix for suffix in _SUFFIXES[kind]}
    return names


def rules(helm: Helm) -> tuple[dict[str, Any], ...]:
    groups = the(helm.render(ALERTS), "PrometheusRule")["spec"]["groups"]
    return tuple(rule for group in groups for rule in group["rules"])


def dashboard_expressions() -> Iterator[str]:
    board = json.loads((CHART / "files/dashboard.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]


def test_the_names_that_are_looked_for_here_are_found() -> None:
    assert {"lightcompute_runs", "lightcompute_lease_held", "lightcompute_look_seconds_bucket"} < (
        exported()
    )


def test_alerts_ask_for_metrics_that_exist(helm: Helm) -> None:
    asked = {name for rule in rules(helm) for name in _METRIC.findall(rule["expr"])}

    assert asked - exported() == set()
    assert len(asked) >= 8


def test_the_dashboard_shows_metrics_that_exist() -> None:
    asked = {name for text in dashboard_expressions() for name in _METRIC.findall(text)}

    assert asked - exported() == set()


def test_each_metric_is_seen_somewhere(helm: Helm) -> None:
    texts = (*dashboard_expressions(), *(rule["expr"] for rule in rules(helm)))
    asked = {name for text in texts for name in _METRIC.findall(text)}

    # The mean comes from the counters; the sum is in no picture of ours.
    assert exported() - asked == {"lightcompute_look_seconds_sum"}


def test_phases_that_are_asked_for_exist(helm: Helm) -> None:
    texts = (*dashboard_expressions(), *(rule["expr"] for rule in rules(helm)))
    asked = {phase for text in texts for phase in re.findall(r'phase="(\w+)"', text)}

    assert asked <= {phase.value for phase in Phase}
    assert {"Failed", "BudgetExhausted"} <= asked


def test_each_alert_says_what_is_wrong_and_what_follows(helm: Helm) -> None:
    for rule in rules(helm):
        assert re.fullmatch(r"LightCompute[A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in {"critical", "warning"}
        for key in ("summary", "description"):
            assert rule["annotations"][key].endswith("."), rule["alert"]


def test_braces_and_brackets_of_expressions_close(helm: Helm) -> None:
    for text in (*dashboard_expressions(), *(rule["expr"] for rule in rules(helm))):
        for begin, end in ("()", "[]", "{}"):
            assert text.count(begin) == text.count(end), text
        assert "{{" not in text


def test_alerts_ask_for_this_release_alone(helm: Helm) -> None:
    for rule in rules(helm):
        asked = len(_METRIC.findall(rule["expr"])) + rule["expr"].count("up{")
        assert rule["expr"].count('job="lightcompute-metrics"') == asked, rule["alert"]


def test_an_amount_to_be_told_of_is_asked_for_only_where_it_is_given(helm: Helm) -> None:
    silent = the(helm.render({"metrics": {"alerts": {"enabled": True}}}), "PrometheusRule")

    assert "LightComputeSpent" not in json.dumps(silent)
    (spent,) = (rule for rule in rules(helm) if rule["alert"] == "LightComputeSpent")
    assert spent["expr"].endswith("> 250")


def test_the_service_monitor_finds_the_service(helm: Helm) -> None:
    made = helm.render({"metrics": {"serviceMonitor": {"enabled": True}}})
    service = the(made, "Service")
    monitor = the(made, "ServiceMonitor")["spec"]

    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]
    assert monitor["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
    pods = the(made, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= pods.items()


def test_the_dashboard_comes_as_valid_json(helm: Helm) -> None:
    made = helm.render({"metrics": {"dashboard": {"enabled": True}}})
    board = the(made, "ConfigMap", "lightcompute-dashboard")

    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["lightcompute.json"])["title"] == "Light Compute"


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PrometheusRule"])
def test_what_needs_another_operator_comes_only_when_asked_for(helm: Helm, kind: str) -> None:
    assert of_kind(helm.render(), kind) == ()


def test_the_page_for_people_lists_each_alert_with_its_severity(helm: Helm) -> None:
    page = (CHECKOUT / "docs/operations.md").read_text(encoding="utf-8")

    listed = re.findall(r"^\| `(LightCompute\w+)` \| (\w+) \|", page, flags=re.MULTILINE)

    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in rules(helm)]
