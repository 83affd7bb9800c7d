import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightcompute.backend import Conflict, PermanentFault, TemporaryFault
from lightcompute.kube.faults import (
    AlreadyExists,
    Expired,
    Forbidden,
    NotFound,
    Unauthorized,
    fault_of,
)

ASKED = "POST /apis/batch/v1/namespaces/a/jobs"


def status(reason: str, message: str = "the server's words") -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()


def fault(
    code: int, body: bytes = b"", headers: dict[str, str] | None = None
) -> TemporaryFault | PermanentFault:
    return fault_of(code, body, headers or {}, asked=ASKED)


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", PermanentFault),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (405, "MethodNotAllowed", PermanentFault),
        (406, "NotAcceptable", PermanentFault),
        (408, "Timeout", TemporaryFault),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (409, "", Conflict),
        (410, "Expired", Expired),
        (410, "Gone", Expired),
        (413, "RequestEntityTooLarge", PermanentFault),
        (415, "UnsupportedMediaType", PermanentFault),
        (422, "Invalid", PermanentFault),
        (429, "TooManyRequests", TemporaryFault),
        (499, "", TemporaryFault),
        (500, "InternalError", TemporaryFault),
        (501, "", TemporaryFault),
        (502, "", TemporaryFault),
        (503, "ServiceUnavailable", TemporaryFault),
        (504, "Timeout", TemporaryFault),
        (301, "", TemporaryFault),
    ],
)
def test_each_answer_stands_for_one_kind_of_fault(
    code: int, reason: str, kind: type[Exception]
) -> None:
    found = fault(code, status(reason))
    assert type(found) is kind
    assert str(found).startswith(f"{ASKED} was answered {code}")
    assert "the server's words" in str(found)


@pytest.mark.parametrize("body", [b"", b"404 page not found\n", status("NotFound")])
def test_what_an_api_server_does_not_have_does_not_exist(body: bytes) -> None:
    assert isinstance(fault(404, body), NotFound)


@pytest.mark.parametrize(
    "body", [b"<html><h1>404 Not Found</h1></html>", b"default backend - 404", b"{}", b"[]"]
)
def test_a_proxy_that_finds_no_api_server_says_nothing_about_what_exists(body: bytes) -> None:
    """Else an attempt that runs would be taken for gone."""
    found = fault(404, body)
    assert isinstance(found, TemporaryFault)
    assert not isinstance(found, Conflict)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("1", 1.0),
        ("0", 0.0),
        ("299", 299.0),
        ("86400", 300.0),
        ("9" * 400, 300.0),
        ("-1", None),
        ("1.5", None),
        ("١", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    ],
)
def test_a_server_that_asks_for_patience_is_given_it_within_reason(
    text: str, seconds: float | None
) -> None:
    found = fault(429, status("TooManyRequests"), {"Retry-After": text})
    assert isinstance(found, TemporaryFault)
    assert found.retry_after_seconds == seconds


@given(code=st.integers(300, 599), body=st.binary(max_size=40))
def test_any_answer_stands_for_a_fault_that_says_what_was_asked(code: int, body: bytes) -> None:
    found = fault(code, body)
    assert isinstance(found, TemporaryFault | PermanentFault)
    assert ASKED in str(found)


def test_what_a_server_says_is_cut() -> None:
    assert len(str(fault(500, status("InternalError", "x" * 100_000)))) <= 600
    assert len(str(fault(500, b"x" * 100_000))) <= 600
