"""A headless Chromium over its DevTools protocol, and the terminal that a page of it shows."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pyte
from aiohttp import ClientSession, ClientWebSocketResponse

#: Chromium with nothing of its own to say to anybody.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--window-size=1300,800",
)
_SECONDS = 60.0
_KEYS = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, "")}


class Browser:
    """One page. `screen` is what its terminal shows, as an emulator makes it of what came over the websocket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.requests: list[str] = []
        self.refused: list[str] = []
        self._terminal = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._terminal)
        self._news = asyncio.Event()

    async def __aenter__(self) -> Browser:
        self._process = await asyncio.create_subprocess_exec(
            "chromium", *_FLAGS, f"--user-data-dir={self._folder}", "about:blank",
            stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._session = ClientSession()
        port = await asyncio.wait_for(self._port(), _SECONDS)
        self._drain = asyncio.create_task(self._process.stderr.read())  # type: ignore[union-attr]
        async with self._session.get(f"http://127.0.0.1:{port}/json") as response:
            page = next(p for p in await response.json() if p["type"] == "page")
        self._socket: ClientWebSocketResponse = await self._session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        for domain in ("Page", "Network", "Runtime", "Log"):
            await self.ask(f"{domain}.enable")
        await self.ask("Emulation.setFocusEmulationEnabled", enabled=True)  # as the window in front
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._reading.cancel()
        await self._session.close()
        self._process.kill()
        await self._process.wait()
        await self._drain

    async def _port(self) -> int:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            if found := re.search(rb"DevTools listening on ws://[^:]+:(\d+)/", line):
                return int(found[1])
        raise AssertionError("chromium did not start")

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": self._asked, "method": method, "params": params})
        return await asyncio.wait_for(answer, _SECONDS)

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told.get("result", {}))
            else:
                self._take(told["method"], told["params"])

    def _take(self, method: str, params: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(params["url"])
        elif method == "Network.loadingFailed":
            self.refused.append(params["errorText"])
        elif method == "Network.webSocketFrameReceived" and params["response"]["opcode"] == 2:
            self._stream.feed(base64.b64decode(params["response"]["payloadData"]))
        elif method == "Network.webSocketFrameSent" and params["response"]["payloadData"].startswith('["resize"'):
            size = json.loads(params["response"]["payloadData"])[1]
            self._terminal.resize(size["height"], size["width"])
        self._news.set()

    async def open(self, url: str) -> None:
        await self.ask("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    @property
    def screen(self) -> list[str]:
        """The lines of the terminal."""
        return list(self._terminal.display)

    async def until(self, seen: Callable[[str], object]) -> str:
        """The screen's text as soon as it is so."""

        async def wait() -> str:
            while not seen(text := "\n".join(self.screen)):
                self._news.clear()
                await self._news.wait()
            return text

        try:
            return await asyncio.wait_for(wait(), _SECONDS)
        except TimeoutError:
            raise AssertionError("not on the screen:\n" + "\n".join(self.screen)) from None

    async def press(self, key: str) -> None:
        """One key: a named one, or a character."""
        name, code, text = _KEYS.get(key, (key, 0, key))
        down = {"key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **down)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", key=name, code=name)

    async def write(self, text: str) -> None:
        for sign in text:
            await self.press(sign)

    async def picture(self) -> bytes:
        """A PNG of the page."""
        return base64.b64decode((await self.ask("Page.captureScreenshot", format="png"))["data"])
