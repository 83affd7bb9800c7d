"""A real browser without a window, steered over its own protocol: whether a page shows what it should can only be told by one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

_FLAGS = (
    "--headless=new",
    # It runs as root, in a container perhaps; and it sees nothing but our own page.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--window-size=1280,900",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",
)
_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
_SECONDS = 60
_LOOK_SECONDS = 0.5


class Page:
    """One page; or the browser itself, where no session is given."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str | None = None):
        self._socket = socket
        self._session = {} if session is None else {"sessionId": session}
        self._numbers = count(1)

    async def open(self, address: str) -> None:
        """Goes there."""
        await self.ask("Page.enable")
        await self.ask("Page.navigate", url=address)

    async def value(self, expression: str) -> object:
        """What a JavaScript expression is worth on the page."""
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def until(self, expression: str, *, seconds: float = _SECONDS) -> object:
        """The value of an expression once it is true; fails the test with the page's text when that does not come."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not (found := await self.value(expression)):
            text = await self.value("document.body ? document.body.innerText : ''")
            assert loop.time() < end, f"never true on the page: {expression}\nIt shows:\n{text}"
            await asyncio.sleep(_LOOK_SECONDS)
        return found

    async def picture(self) -> bytes:
        """What it looks like, as PNG."""
        answer = await self.ask("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    async def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """One request of the protocol, and its answer."""
        number = next(self._numbers)
        request = {"id": number, "method": method, "params": parameters}
        await self._socket.send_json(request | self._session)
        async with asyncio.timeout(_SECONDS):
            while True:
                said = await self._socket.receive_json()
                # Events come in between.
                if said.get("id") == number and said.get("sessionId") == self._session.get(
                    "sessionId"
                ):
                    assert "error" not in said, f"{method}: {said['error']}"
                    return dict(said["result"])


@asynccontextmanager
async def page(profile: Path) -> AsyncIterator[Page]:
    """A browser with one page; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        "chromium", *_FLAGS, f"--user-data-dir={profile}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        address = await _address(process)
        drain = asyncio.create_task(_drain(process))
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            yield await _first_page(socket)
            await socket.send_json({"id": 0, "method": "Browser.close"})
            await asyncio.wait_for(process.wait(), _SECONDS)
        drain.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(_SECONDS):
        while (found := _LISTENING.search(said)) is None:
            piece = await process.stderr.read(4096)
            assert piece, f"the browser ended: {said.decode(errors='replace')}"
            said += piece
    return found[1].decode()


async def _drain(process: asyncio.subprocess.Process) -> None:
    """What it complains of would else fill the pipe, and it would stand still."""
    assert process.stderr is not None
    while await process.stderr.read(65_536):
        pass


async def _first_page(socket: aiohttp.ClientWebSocketResponse) -> Page:
    """The page that it opens with."""
    browser = Page(socket)
    targets = (await browser.ask("Target.getTargets"))["targetInfos"]
    target = next(each["targetId"] for each in targets if each["type"] == "page")
    attached = await browser.ask("Target.attachToTarget", targetId=target, flatten=True)
    return Page(socket, attached["sessionId"])
