"""What the API server says of a TrainingRun, without keeping it where nothing needs it kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.testcluster.api import Api, ApiFault

Document = dict[str, Any]
_UNPROCESSABLE = {400, 422}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The server's answer; `stored` is what it would keep, `message` why it would not."""

    stored: Document | None
    message: str = ""

    @property
    def taken(self) -> bool:
        """Whether it is taken."""
        return self.stored is not None


@dataclass(frozen=True, kw_only=True)
class RunServer:
    """The TrainingRuns of one namespace."""

    api: Api
    namespace: str

    def judge(self, document: Document) -> Verdict:
        """What it says of a new run, with every unknown field a fault, as kubectl asks for."""
        return self._judged("POST", self.path(), document)

    def judge_change(self, document: Document) -> Verdict:
        """What it says of `document` in place of the run of that name."""
        return self._judged("PUT", self.path(document["metadata"]["name"]), document)

    def create(self, document: Document) -> Document:
        """Makes the run."""
        return self.api.post(self.path(), document, fieldValidation="Strict")

    def write_status(self, document: Document, status: Document) -> Document:
        """Writes the status of the run, as it is named in `document`."""
        path = f"{self.path(document['metadata']['name'])}/status"
        return self.api.put(path, document | {"status": status}, fieldValidation="Strict")

    def path(self, name: str = "") -> str:
        """Path of a run, or of all of them."""
        runs = f"/apis/lightcompute.dev/v1alpha1/namespaces/{self.namespace}/trainingruns"
        return f"{runs}/{name}" if name else runs

    def _judged(self, method: str, path: str, document: Document) -> Verdict:
        send = self.api.post if method == "POST" else self.api.put
        try:
            return Verdict(stored=send(path, document, dryRun="All", fieldValidation="Strict"))
        except ApiFault as fault:
            if fault.status not in _UNPROCESSABLE:
                raise
            return Verdict(stored=None, message=fault.message)
