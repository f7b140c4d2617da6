"""The app in a browser: for whoever has the token, and for nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, ClientWebSocketResponse, CookieJar, WSMsgType, WSServerHandshakeError

from tests import needs
from tests.tui.browser import Browser
from workbench.tui.serve import CONNECTIONS, MESSAGE, SESSIONS, Door, serving

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_captures" / "esxi-lateral.pcapng"


URL = re.compile(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}")


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
    assert URL.fullmatch(line)
    return Served(process, line)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[Served]:
    """A server that a test may end."""
    one = await start()
    yield one
    await one.end()


class Standing:
    """A server that answers the tests that only ask, one after the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.base, self.token = url.split("/?token=")
        self.host = self.base.removeprefix("http://")


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    words = (sys.executable, "-m", "workbench", "serve", "--port", "0")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        assert URL.fullmatch(line)
        yield Standing(line)
        assert process.poll() is None
        process.terminate()
        process.wait(60)


@pytest_asyncio.fixture
async def friend(served: Served) -> AsyncIterator[ClientSession]:
    async with befriended(served) as session:
        yield session


@pytest_asyncio.fixture
async def guest(standing: Standing) -> AsyncIterator[ClientSession]:
    async with befriended(standing) as session:
        yield session


@contextlib.asynccontextmanager
async def befriended(server: Served | Standing) -> AsyncIterator[ClientSession]:
    """Somebody who has used the token."""
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        async with session.get(server.url) as response:
            assert response.status == 200
            assert str(response.url) == f"{server.base}/"
        yield session


ROUTES = ("/", "/ws", "/page.js", "/page.css", "/static/js/textual.js", "/static/css/xterm.css", "/static/", "/download/x", "/x")


async def test_without_the_token_there_is_nothing(standing: Standing) -> None:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        for route in (
            *ROUTES,
            "/?token=",
            "/?token=" + "A" * 43,
            f"/page.js?token={standing.token}",
            f"/ws?token={standing.token}",
        ):
            async with session.get(standing.base + route) as response:
                assert (response.status, "workbench serve" in await response.text()) == (403, True), route
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(f"ws://{standing.host}/ws", headers={"Origin": standing.base})


async def test_the_token_becomes_a_cookie_of_this_site_alone(standing: Standing) -> None:
    async with ClientSession() as session, session.get(standing.url, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/"
        cookie = response.headers["Set-Cookie"]
        assert "SameSite=Strict" in cookie
        assert "HttpOnly" in cookie
        assert standing.token not in cookie


async def test_every_answer_carries_the_policy(standing: Standing, guest: ClientSession) -> None:
    for route in ROUTES:
        if route == "/ws":
            continue
        async with guest.get(standing.base + route) as response:
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
    standing: Standing, guest: ClientSession, headers: dict[str, str]
) -> None:
    for route in ROUTES:
        async with guest.get(standing.base + route, headers=headers) as response:
            assert response.status == 403, route
    with pytest.raises(WSServerHandshakeError):
        await guest.ws_connect(f"ws://{standing.host}/ws", headers={"Origin": standing.base} | headers)


async def test_a_websocket_needs_its_origin(standing: Standing, guest: ClientSession) -> None:
    with pytest.raises(WSServerHandshakeError):
        await guest.ws_connect(f"ws://{standing.host}/ws")


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


#: Programs in the app's place, which speak as it does: they end when they are asked to, or only when they are killed.
SPEAKS = "import sys; out = sys.stdout.buffer; out.write(b'__GANGLION__\\nD\\0\\0\\0\\2hi'); out.flush(); "
HEEDS = SPEAKS + "data = b''\nwhile b'quit' not in data: data += sys.stdin.buffer.read1()\nsys.stderr.write(repr(data))"
DEAF = SPEAKS + "import time; time.sleep(600)"
FLOODS = SPEAKS + "\nwhile True: out.write(b'D\\0\\1\\0\\0' + bytes(65536))"
FAILS = SPEAKS + "sys.exit('wire said: \\x1b]0;owned\\x07')"


class Tabs:
    """A server in this process, of a program in the app's place, and a friend's way in."""

    def __init__(self, port: int, door: Door) -> None:
        self.host, self.door = f"127.0.0.1:{port}", door
        self.headers = {"Origin": f"http://{self.host}"}

    async def __aenter__(self) -> Tabs:
        self.session = ClientSession(cookie_jar=CookieJar(unsafe=True))
        async with self.session.get(f"http://{self.host}/?token={self.door.token}"):
            return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def open(self) -> ClientWebSocketResponse:
        socket = await self.session.ws_connect(f"ws://{self.host}/ws?width=80&height=24", headers=self.headers)
        assert await socket.receive_bytes() == b"hi"
        return socket

    async def deaf(self) -> asyncio.StreamWriter:
        """A tab that reads nothing of what it is sent."""
        _, writer = await asyncio.open_connection(*self.host.split(":"), limit=1)
        cookie = next(iter(self.session.cookie_jar))
        lines = [
            "GET /ws HTTP/1.1", f"Host: {self.host}", f"Origin: http://{self.host}", f"Cookie: {cookie.key}={cookie.value}",
            "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + "A" * 22 + "==",
        ]  # fmt: skip
        writer.write("\r\n".join([*lines, "", ""]).encode())
        return writer


def mine() -> set[int]:
    return set(children(os.getpid()))


async def until_gone(these: set[int]) -> None:
    while these & mine():
        await asyncio.sleep(0.01)


async def test_there_are_so_many_tabs_and_no_more_and_a_closed_one_makes_room() -> None:
    async with serving((sys.executable, "-c", HEEDS), 0) as served, Tabs(*served) as tabs:
        opened = await asyncio.gather(*(tabs.open() for _ in range(20)), return_exceptions=True)
        sockets = [one for one in opened if not isinstance(one, BaseException)]
        assert len(sockets) == SESSIONS
        assert {one.status for one in opened if isinstance(one, WSServerHandshakeError)} == {503}
        async with tabs.session.get(f"http://{tabs.host}/") as page:
            assert (page.status, "Close one" in await page.text()) == (503, True)
        await sockets[0].close()
        again = None
        while again is None:
            with contextlib.suppress(WSServerHandshakeError):
                again = await tabs.open()


async def test_sizes_and_messages_are_bounded_before_they_reach_the_app(capfd: pytest.CaptureFixture[str]) -> None:
    async with serving((sys.executable, "-c", HEEDS), 0) as served, Tabs(*served) as tabs:
        for nonsense in (
            '["resize", {"width": 100000, "height": 2}]', '["resize", {"width": true, "height": 1.5}]', "[" * 500_000, '"stdin"',
            '["stdin", "\\ud800"]', '["stdin", "' + "x" * MESSAGE + '"]', "{}", "3", "[]", '["stdin", 3]', '["ping"]',
        ):  # fmt: skip
            socket = await tabs.open()
            await socket.send_str(nonsense)
            assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED), nonsense[:40]
        socket = await tabs.open()
        await socket.send_str('["resize", {"width": 1000, "height": 1}]')
        await socket.close()
    told = capfd.readouterr().err
    assert told.count('"quit"') == 12
    assert told.count('"resize"') == 1
    assert "Traceback" not in told


async def test_apps_that_do_not_listen_and_tabs_that_do_not_read_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.tui.served_app.LEAVE", 0.1)
    monkeypatch.setattr("workbench.tui.serve.LEAVE", 0.1)
    before = mine()
    async with serving((sys.executable, "-c", DEAF), 0) as served, Tabs(*served) as tabs:
        socket = await tabs.open()
        started = mine() - before
        assert len(started) == 1
        await socket.close()
        await until_gone(started)
    async with serving((sys.executable, "-c", FLOODS), 0) as served, Tabs(*served) as tabs:
        writer = await tabs.deaf()
        while not (started := mine() - before):
            await asyncio.sleep(0.01)
    assert not started & mine()  # the server has ended, and did not wait for the reader
    writer.close()


async def test_an_app_that_fails_ends_its_tab_and_what_it_says_is_made_visible(capfd: pytest.CaptureFixture[str]) -> None:
    async with serving((sys.executable, "-c", FAILS), 0) as served, Tabs(*served) as tabs:
        socket = await tabs.open()
        assert (await socket.receive()).type is WSMsgType.CLOSE
    told = capfd.readouterr()
    assert told.err == "wire said: ␛]0;owned␇\n"
    assert told.out == ""


async def test_connections_that_ask_nothing_are_closed_and_there_are_so_many_at_once() -> None:
    async with serving((sys.executable, "-c", HEEDS), 0, ask_within=0.2) as served, Tabs(*served) as tabs:
        socket = await tabs.open()
        slow = [await asyncio.open_connection(*tabs.host.split(":")) for _ in range(CONNECTIONS + 10)]
        for _, writer in slow:
            writer.write(b"GET / HTTP/1.1\r\nHost: ")
        for reader, _ in slow:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        async with tabs.session.get(f"http://{tabs.host}/") as page:
            assert page.status == 200
        await socket.send_str('["ping", 1]')  # who has asked may be silent
        assert await socket.receive_json() == ["pong", 1]


async def test_the_app_ends_with_a_server_that_is_killed(served: Served, friend: ClientSession) -> None:
    async with friend.ws_connect(f"ws://{served.host}/ws?width=80&height=24", headers={"Origin": served.base}) as socket:
        await socket.receive_bytes(timeout=60)
        (child,) = children(served.process.pid)
        await served.end(signal.SIGKILL)
        while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().rpartition(")")[2]:
            await asyncio.sleep(0.05)


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
    await page.until(lambda text: "8 findings" in text and "One source tries many hosts" in text)
    await page.press("j")
    await page.until(lambda text: re.search(r"▶ .*10\.20\.1\.77 → ", text) and "state: open" in text)
    await page.press("C")
    await page.until(lambda text: "Confirmed: reason" in text)
    await page.write("not ours")
    await page.press("Enter")
    await page.until(lambda text: "state: confirmed" in text)
    await page.press("p")
    await page.until(lambda text: "packet 1 of" in text)
