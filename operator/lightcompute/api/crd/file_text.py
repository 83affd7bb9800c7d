"""A definition as the text of its file in `crds/`."""

from __future__ import annotations

from lightcompute.api.crd.definition import Resource, definition
from runcontract.document import dump_document

_HEAD = "# Made from the models in lightcompute.api by `python -m lightcompute.api.crd`. Change those, not this file.\n"


def file_text(resource: Resource) -> str:
    """The file of `resource`."""
    return _HEAD + dump_document(definition(resource))
