import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lightgpt.data.download import download
from runcontract.faults import DataFault

CONTENT = b"To be, or not to be\n" * 50
Answer = Callable[[BaseHTTPRequestHandler], None]


class _PatientServer(ThreadingHTTPServer):
    daemon_threads = False  # closing it waits for answers under way


class Server:
    """A real HTTP server on the loopback address that answers as a test tells it."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {"/text": content(CONTENT)}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answers[self.path](self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                return

        self._server = _PatientServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def address(self, path: str = "/text") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def content(body: bytes, *, declared: int | None = None, pause_s: float = 0.0) -> Answer:
    """Answers with `body`; `declared` bytes are announced, and `pause_s` passes between parts."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if declared is None else declared))
        handler.end_headers()
        part = len(body) if not pause_s else 50
        try:
            for start in range(0, len(body), part):
                handler.wfile.write(body[start : start + part])
                handler.wfile.flush()
                time.sleep(pause_s)
        except OSError:
            return  # the client has had enough

    return answer


def status(code: int, location: str = "") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.close()


def fetch(address: str, *, seconds: float = 20.0, stall_seconds: float = 5.0) -> bytes:
    return download(
        address,
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT),
        action="Do without.",
        seconds=seconds,
        stall_seconds=stall_seconds,
    )


def test_what_is_fetched_is_the_file(server: Server) -> None:
    assert fetch(server.address()) == CONTENT


def test_a_redirection_is_followed(server: Server) -> None:
    server.answers["/old"] = status(301, server.address())
    assert fetch(server.address("/old")) == CONTENT


def refused(address: str, **seconds: float) -> str:
    with pytest.raises(DataFault) as fault:
        fetch(address, **seconds)
    assert fault.value.faults[0].where == address
    assert fault.value.faults[0].action == "Do without."
    return fault.value.faults[0].found


def test_another_content_is_refused_by_its_hash(server: Server) -> None:
    server.answers["/text"] = content(CONTENT.replace(b"not", b"now", 1))
    assert refused(server.address()).startswith("1000 bytes of SHA-256 ")


def test_a_longer_content_is_read_no_further_than_needed(server: Server) -> None:
    server.answers["/text"] = content(CONTENT * 10_000)
    assert refused(server.address()) == "more than 1000 bytes"


@pytest.mark.parametrize("announced", [1000, 2000])
def test_a_content_that_breaks_off_is_refused(server: Server, announced: int) -> None:
    server.answers["/text"] = content(CONTENT[:500], declared=announced)
    assert refused(server.address(), stall_seconds=0.3)


def test_an_error_is_told(server: Server) -> None:
    server.answers["/text"] = status(404)
    assert refused(server.address()) == "HTTP status 404"


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "refused" in refused(f"http://127.0.0.1:{port}/text")


def test_a_server_that_says_nothing_is_left_after_a_while(server: Server) -> None:
    server.answers["/text"] = lambda _: time.sleep(1.0)
    started = time.monotonic()
    assert refused(server.address(), stall_seconds=0.2) in {"no answer in time", "timed out"}
    assert time.monotonic() - started < 0.9


def test_a_server_that_drips_is_left_when_the_time_is_over(server: Server) -> None:
    # Each part comes in time, the whole would take twice as long as it may.
    server.answers["/text"] = content(CONTENT, pause_s=0.05)
    assert refused(server.address(), seconds=0.4, stall_seconds=5) == "no answer in time"
