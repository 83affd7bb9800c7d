"""The API server and the reader of files, asked about the same document."""

from __future__ import annotations

from lightcompute.api import parse_resource
from runcontract.faults import ConfigurationFault
from support.cases import Document
from support.resource_server import ResourceServer


def assert_kept_as_read(judge: ResourceServer, document: Document) -> None:
    """The server takes it, and what it would keep is read as what stands in the file."""
    verdict = judge.judge(document)
    assert verdict.stored is not None, verdict.message
    assert parse_resource(verdict.stored).spec == parse_resource(document).spec


def assert_judged_alike(judge: ResourceServer, document: Document) -> None:
    """Both take it, to the same effect, or neither does."""
    fault = _fault(document)
    verdict = judge.judge(document)
    told = f"server: {verdict.message or 'taken'}\nreader: {fault or 'taken'}"
    assert verdict.taken == (fault is None), told
    if verdict.stored is not None:
        assert parse_resource(verdict.stored).spec == parse_resource(document).spec


def _fault(document: Document) -> str | None:
    try:
        parse_resource(document)
    except ConfigurationFault as fault:
        return str(fault)
    return None
