"""The chart as tests see it: rendered by the real helm, read as documents."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from support.source import CHECKOUT

Document = dict[str, Any]
CHART = CHECKOUT / "charts/lightcompute"
RELEASE = "lightcompute"
NAMESPACE = "lightcompute-system"
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "namespaces": {"watchNamespaces": ["team-a", "team-b"]},
    "everything": {
        "metrics": {
            "serviceMonitor": {"enabled": True},
            "alerts": {"enabled": True},
            "dashboard": {"enabled": True},
        },
        "networkPolicy": {"operator": {"enabled": True}},
        "podDisruptionBudget": {"enabled": True},
        "replicas": 2,
        "trainingClusters": {"enabled": True},
    },
}
"""Values by what they turn on: the chart as it is, in a few namespaces, and with all that is off otherwise."""


class Refused(Exception):
    """helm ended with an error; the text is what it said."""


@dataclass(frozen=True, kw_only=True)
class Helm:
    """The program, with a home of its own, and a cluster where it is to have one."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *words: str, values: Mapping[str, Any] | None = None) -> str:
        """What it printed. Raises Refused."""
        given = () if values is None else ("--values", "-")
        done = subprocess.run(
            [str(self.program), *words, *given],
            input=None if values is None else json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **self._cluster()},
        )
        if done.returncode:
            raise Refused(done.stderr + done.stdout)
        return done.stdout

    def render(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        release: str = RELEASE,
        namespace: str = NAMESPACE,
    ) -> tuple[Document, ...]:
        """The chart's objects, hooks too, as `helm template` makes them without a cluster."""
        return _rendered(self.program, self.home, json.dumps(values or {}), release, namespace)

    def _cluster(self) -> dict[str, str]:
        return {"KUBECONFIG": str(self.kubeconfig or self.home / "no-cluster")}


@cache
def _rendered(
    program: Path, home: Path, values: str, release: str, namespace: str
) -> tuple[Document, ...]:
    text = Helm(program=program, home=home).run(
        "template", release, str(CHART), "--namespace", namespace, values=json.loads(values)
    )
    return tuple(each for each in yaml.safe_load_all(text) if each is not None)


def of_kind(documents: Iterable[Document], kind: str) -> tuple[Document, ...]:
    """Those of one kind."""
    return tuple(each for each in documents if each["kind"] == kind)


def the(documents: Iterable[Document], kind: str, name: str | None = None) -> Document:
    """The one of a kind, or of a kind and a name."""
    found = [each for each in of_kind(documents, kind) if name in (None, each["metadata"]["name"])]
    assert len(found) == 1, (
        f"{kind} {name or ''}: {[each['metadata']['name'] for each in found] or 'none'}"
    )
    return found[0]


def default_values() -> Document:
    """values.yaml."""
    read: Document = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return read


def nested(path: str, value: object) -> Document:
    """`value` at `a.b.c` of values."""
    document: Any = value
    for key in reversed(path.split(".")):
        document = {key: document}
    assert isinstance(document, dict)
    return document


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> Document:
    """`first` with `second` laid over it, as helm merges values."""
    both = dict(first)
    for key, value in second.items():
        old = both.get(key)
        both[key] = (
            merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return both


@cache
def generator() -> ModuleType:
    """charts/generate.py, which lies outside the packages."""
    spec = importlib.util.spec_from_file_location(
        "chart_generator", CHECKOUT / "charts/generate.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up while it is made.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def paths() -> tuple[str, ...]:
    """Every value of the chart, as `a.b.c`."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    return tuple(each.path for each in generator().values(text))
