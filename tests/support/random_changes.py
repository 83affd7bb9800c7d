"""Documents made of good ones by a few changes drawn from the schema: right values, values at the edges, wrong ones, none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from lightcompute.api.crd import Resource
from support.cases import ABSENT, Document, changed
from support.random_documents import WRONG, paths, value
from support.schemas import schema_of


def documents_with_changes(
    resource: Resource, bases: Sequence[Document]
) -> st.SearchStrategy[Document]:
    """One of `bases` with one to four changes anywhere in `spec`."""
    spec = schema_of(resource)["properties"]["spec"]
    right = {f"spec.{path}": value(schema) for path, schema in paths(spec)}
    fields = [[path for path in right if _place(base, path) is not None] for base in bases]

    @st.composite
    def documents(draw: st.DrawFn) -> Document:
        number = draw(st.integers(0, len(bases) - 1))
        document = bases[number]
        for path in draw(st.lists(st.sampled_from(fields[number]), min_size=1, max_size=4)):
            wrong = st.sampled_from(WRONG)
            drawn = draw(st.one_of(right[path], right[path], wrong, st.just(ABSENT)))
            document = laid_over(document, path, drawn)
        return document

    return documents()


def laid_over(document: Document, path: str, drawn: Any) -> Document:
    """`document` with `drawn` at `path`, unless an earlier change put something else in the way there."""
    return document if _place(document, path) is None else changed(document, {path: drawn})


def _place(document: Document, path: str) -> Any:
    """What holds the last part of `path`, as far as it is there; None where that can't be."""
    place: Any = document
    *folders, last = path.split(".")
    for folder in folders:
        place = _below(place, folder)
    fits = isinstance(place, dict) and not last.isdigit()
    return place if fits or _below(place, last) is not None else None


def _below(place: Any, part: str) -> Any:
    if isinstance(place, dict) and not part.isdigit():
        return place.get(part, {})
    if isinstance(place, list) and part.isdigit() and int(part) < len(place):
        return place[int(part)]
    return None
