"""The app in a browser: for whoever has the token, and for nobody else."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, CookieJar, WSServerHandshakeError

from tests import needs
from tests.tui.browser import Browser

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_captures" / "esxi-lateral.pcapng"


class Served:
    """`workbench serve` as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url
        self.base, self.token = url.split("/?token=")
        self.host = self.base.removeprefix("http://")

    async def end(self, how: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(how)
        await asyncio.wait_for(self.process.communicate(), 60)
        assert self.process.returncode is not None
        return self.process.returncode


async def start(*words: str) -> Served:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workbench", "serve", "--port", "0", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", line)
    return Served(process, line)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    one = await start()
    yield one
    await one.end()


@pytest_asyncio.fixture
async def friend(served: Served) -> AsyncIterator[ClientSession]:
    """Somebody who has used the token."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        async with session.get(served.url) as response:
            assert response.status == 200
            assert str(response.url) == f"{served.base}/"
        yield session


ROUTES = ("/", "/ws", "/page.js", "/page.css", "/static/js/textual.js", "/static/css/xterm.css", "/static/", "/download/x", "/x")


async def test_without_the_token_there_is_nothing(served: Served) -> None:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        for route in (*ROUTES, "/?token=", "/?token=" + "A" * 43, f"/page.js?token={served.token}", f"/ws?token={served.token}"):
            async with session.get(served.base + route) as response:
                assert (response.status, "workbench serve" in await response.text()) == (403, True), route
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(f"ws://{served.host}/ws", headers={"Origin": served.base})


async def test_the_token_becomes_a_cookie_of_this_site_alone(served: Served) -> None:
    async with ClientSession() as session, session.get(served.url, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/"
        cookie = response.headers["Set-Cookie"]
        assert "SameSite=Strict" in cookie
        assert "HttpOnly" in cookie
        assert served.token not in cookie


async def test_every_answer_carries_the_policy(served: Served, friend: ClientSession) -> None:
    for route in ROUTES:
        if route == "/ws":
            continue
        async with friend.get(served.base + route) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert response.headers["Referrer-Policy"] == "no-referrer"
            assert response.status == {"/static/": 403, "/download/x": 404, "/x": 404}.get(route, 200), route


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80@127.0.0.1"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "["},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost"},
    ],
)
async def test_other_hosts_and_pages_are_refused_on_every_route(
    served: Served, friend: ClientSession, headers: dict[str, str]
) -> None:
    for route in ROUTES:
        async with friend.get(served.base + route, headers=headers) as response:
            assert response.status == 403, route
    with pytest.raises(WSServerHandshakeError):
        await friend.ws_connect(f"ws://{served.host}/ws", headers={"Origin": served.base} | headers)


async def test_a_websocket_needs_its_origin(served: Served, friend: ClientSession) -> None:
    with pytest.raises(WSServerHandshakeError):
        await friend.ws_connect(f"ws://{served.host}/ws")


async def test_messages_that_are_none_end_the_tab_and_not_the_server(served: Served, friend: ClientSession) -> None:
    for nonsense in ("{}", "[", '["resize", 1]', '["stdin"]'):
        async with friend.ws_connect(f"ws://{served.host}/ws", headers={"Origin": served.base}) as socket:
            await socket.send_str(nonsense)
            async for _ in socket:
                pass
        assert socket.closed
    async with friend.get(f"{served.base}/") as response:
        assert response.status == 200


async def test_the_app_ends_with_its_tab_and_with_the_server(served: Served, friend: ClientSession) -> None:
    async with friend.ws_connect(f"ws://{served.host}/ws?width=80&height=24", headers={"Origin": served.base}) as socket:
        await socket.receive_bytes(timeout=60)
        (child,) = children(served.process.pid)
    while child in children(served.process.pid):
        await asyncio.sleep(0.05)
    async with friend.ws_connect(f"ws://{served.host}/ws", headers={"Origin": served.base}) as socket:
        await socket.receive_bytes(timeout=60)
        (child,) = children(served.process.pid)
        assert await served.end(signal.SIGINT) == 130
    assert not Path(f"/proc/{child}").exists()


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_taken_port_is_said(served: Served) -> None:
    port = served.host.rpartition(":")[2]
    words = (sys.executable, "-m", "workbench", "serve", "--port", port)
    other = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, told = await other.communicate()
    assert other.returncode == 4
    assert f"port {port} of 127.0.0.1 cannot be had" in told.decode()


async def test_what_is_wrong_with_a_path_is_said_before_anything_is_served() -> None:
    words = (sys.executable, "-m", "workbench", "serve", "no-such.pcap", "--port", "0")
    process = await asyncio.create_subprocess_exec(*words, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode == 2
    assert "no-such.pcap" in told.decode()


@needs.program("chromium")
async def test_the_app_in_chromium(tmp_path: Path) -> None:
    served = await start(os.fspath(SAMPLE), "--case", os.fspath(tmp_path / "case"))
    try:
        async with Browser(tmp_path / "stranger") as stranger:
            await stranger.open(f"{served.base}/")
            while "token" not in str(body := await stranger.value("document.body.innerText")) and "serve" not in str(body):
                await asyncio.sleep(0.05)
            assert "workbench serve" in body
            assert not any(url.startswith("ws:") for url in stranger.requests)
        async with Browser(tmp_path / "friend") as friend:
            await friend.open(served.url)
            await friend.until(lambda text: "193 flows" in text)
            assert await friend.value("location.href") == f"{served.base}/"
            assert {re.sub(r"^\w+://([^/]*)/.*", r"\1", url) for url in friend.requests} == {served.host}
            await friend.write("/dst_port == 427")
            await friend.press("Enter")
            await friend.until(lambda text: re.search(r"\d+ of \d+ flows", text) and "10.20.30." in text)
            (tmp_path / "page.png").write_bytes(await friend.picture())
            await the_scan_is_found_and_followed(friend)
            assert await friend.value("window.open('http://evil.example/')") is None
    finally:
        await served.end()


async def the_scan_is_found_and_followed(page: Browser) -> None:
    """Detections, a finding, its note, its packets; the terminal's story (test_story.py) in short."""
    await page.press("5")
    await page.until(lambda text: "D runs the detections" in text)
    await page.press("D")
    await page.until(lambda text: "7 findings" in text and "One source tries many hosts" in text)
    await page.press("j")
    await page.until(lambda text: re.search(r"▶ .*10\.20\.1\.77 → ", text) and "state: open" in text)
    await page.press("C")
    await page.until(lambda text: "Confirmed: reason" in text)
    await page.write("not ours")
    await page.press("Enter")
    await page.until(lambda text: "state: confirmed" in text)
    await page.press("p")
    await page.until(lambda text: "packet 1 of" in text)
