"""What the API server says of our resources, without keeping them where nothing needs them kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runcontract.base import API_VERSION
from support.testcluster.api import Api, ApiFault

Document = dict[str, Any]
_UNPROCESSABLE = {400, 422}


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One of the things that the server told of: the path of the field, and why."""

    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The server's answer; `stored` is what it would keep, `message` why it would not, and `causes` the same one by one."""

    stored: Document | None
    message: str = ""
    causes: tuple[Cause, ...] = ()

    @property
    def taken(self) -> bool:
        """Whether it is taken."""
        return self.stored is not None


@dataclass(frozen=True, kw_only=True)
class ResourceServer:
    """The objects of one kind, in one namespace where they have any."""

    api: Api
    plural: str
    """As paths have the kind. No more of it: a failing example is printed with all that a test was given."""
    namespace: str = ""

    def judge(self, document: Document) -> Verdict:
        """What it says of a new object, with every unknown field a fault, as kubectl asks for."""
        return self._judged("POST", self.path(), document)

    def judge_change(self, document: Document) -> Verdict:
        """What it says of `document` in place of the object of that name."""
        return self._judged("PUT", self.path(document["metadata"]["name"]), document)

    def create(self, document: Document) -> Document:
        """Makes the object."""
        return self.api.post(self.path(), document, fieldValidation="Strict")

    def write_status(self, document: Document, status: Document) -> Document:
        """Writes the status of the object, as it is named in `document`."""
        path = f"{self.path(document['metadata']['name'])}/status"
        return self.api.put(path, document | {"status": status}, fieldValidation="Strict")

    def path(self, name: str = "") -> str:
        """Path of an object, or of all of them."""
        where = f"/namespaces/{self.namespace}" if self.namespace else ""
        objects = f"/apis/{API_VERSION}{where}/{self.plural}"
        return f"{objects}/{name}" if name else objects

    def _judged(self, method: str, path: str, document: Document) -> Verdict:
        send = self.api.post if method == "POST" else self.api.put
        try:
            return Verdict(stored=send(path, document, dryRun="All", fieldValidation="Strict"))
        except ApiFault as fault:
            if fault.status not in _UNPROCESSABLE:
                raise
            causes = (fault.body.get("details") or {}).get("causes") or ()
            return Verdict(
                stored=None,
                message=fault.message,
                causes=tuple(
                    Cause(field=each.get("field", ""), message=each.get("message", ""))
                    for each in causes
                ),
            )
