"""A frozen document with some fields changed: `model_copy` that a misspelt field cannot slip through."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel

_Model = TypeVar("_Model", bound=BaseModel)


def revised(model: _Model, **changes: Any) -> _Model:
    """`model` with `changes`. They come from our own code, so they are not validated again."""
    unknown = changes.keys() - type(model).model_fields.keys()
    assert not unknown, f"{type(model).__name__} has no {sorted(unknown)}"
    return model.model_copy(update=changes)
