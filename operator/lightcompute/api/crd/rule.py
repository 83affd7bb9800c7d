"""One rule in CEL, as `x-kubernetes-validations` has it, and the few turns of phrase that ours share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What must hold for `self`, and what a person is told where it does not.

    `field` is the key below `self` that the fault is told of, where there is one to change. `finds` is an expression for a text that
    names what is wrong in this object; `message` is what stands in where it cannot be had.
    """

    holds: str
    message: str
    field: str = ""
    finds: str = ""

    def document(self) -> dict[str, str]:
        """The rule as a schema has it."""
        path = {"fieldPath": f".{self.field}"} if self.field else {}
        finds = {"messageExpression": self.finds} if self.finds else {}
        return {"rule": self.holds, "message": self.message} | finds | path


def literal(word: str) -> str:
    """A literal of CEL for `word`."""
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


def one_of(words: Iterable[str]) -> str:
    """A literal list of texts."""
    return f"[{', '.join(literal(word) for word in words)}]"


def same(path: str) -> str:
    """Whether the value at `path` of an object is as it was, or absent as it was."""
    new, old = f"self.{path}", f"oldSelf.{path}"
    return f"(has({new}) ? has({old}) && {new} == {old} : !has({old}))"


def let(body: str, **values: str) -> str:
    """`body`, in which each name stands for its expression. CEL has no variables: a list of one is gone through."""
    for name, value in reversed(values.items()):
        body = f"[{value}].all({name}, {body})"
    return body
