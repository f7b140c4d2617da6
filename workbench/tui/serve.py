"""`workbench serve`: the same app in a browser, over loopback, for whoever has the token.

textual-serve does the work: a process of the app a browser tab, its screen over a websocket. What is ours is the door.
Every route, the static files too, asks three things: the Host header names this machine's loopback (a page elsewhere
that has its name pointed at 127.0.0.1 has another), the Origin, where there is one, is the page that we served (a
websocket must have one: browsers let any page open one anywhere), and the cookie is the one that was given for the
token. The cookie is HttpOnly and SameSite=Strict; the token leaves the address bar by a redirect. The page is ours: the
stock one loads a font from elsewhere, which tells that server who looks at what, and when.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import logging
import re
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from weakref import WeakSet

import textual_serve
from aiohttp import WSMsgType, web
from textual_serve.server import Server

from workbench.errors import ExitCode, PortError
from workbench.tui.served_app import LEAVE, ServedApp, side

if TYPE_CHECKING:
    from workbench.workflows.requests import ServeRequest

_HOST: Final = "127.0.0.1"
#: How a browser may call us. Any port: `ssh -L` forwards another one.
_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")
#: App processes at once; each holds a case open.
SESSIONS: Final = 8
#: Bytes of one message of a tab at most, unpacked: more than anybody pastes.
MESSAGE: Final = 1 << 20
#: Seconds between pings; a tab that does not answer one within half of that is gone.
_HEARTBEAT: Final = 15
#: Connections at once, and the seconds each has to ask for something: anybody on this machine can open one.
CONNECTIONS: Final = 64
_ASK_WITHIN: Final = 10.0
#: What a message that is none of our page's ends in. RecursionError: JSON of a hundred thousand brackets.
_NONSENSE: Final = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)

#: Nothing from anywhere else; the terminal widget sets styles on elements.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_PAGE: Final = {"page.html": "text/html", "page.js": "text/javascript", "page.css": "text/css"}
_STATIC: Final = Path(textual_serve.__file__).parent / "static"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run_server(request: ServeRequest) -> int:
    """Serve until Ctrl-C or SIGTERM; the exit code. PortError where the port is taken."""
    logging.getLogger("textual-serve").setLevel(logging.ERROR)
    return asyncio.run(_serve(request))


async def _serve(request: ServeRequest) -> int:
    async with serving((sys.executable, "-m", "workbench", *request.words), request.port) as (port, door):
        sys.stdout.write(f"http://{_HOST}:{port}/?token={door.token}\n")
        sys.stdout.flush()
        return await _until_stopped()


@contextlib.asynccontextmanager
async def serving(words: tuple[str, ...], port: int, ask_within: float = _ASK_WITHIN) -> AsyncIterator[tuple[int, Door]]:
    """Serve apps that these words start; the port that was had, and the door. PortError where it is taken.

    ask_within: seconds in which a connection must have asked for something.
    """
    door = Door()
    server = _AppServer(words, door)
    runner = web.AppRunner(
        server.application(), handle_signals=False, access_log=None, keepalive_timeout=15, shutdown_timeout=LEAVE
    )
    await runner.setup()
    assert runner.server is not None
    try:
        listening = await _listen(runner.server, door, port, ask_within)
        try:
            port = int(listening.sockets[0].getsockname()[1])
            door.cookie = f"workbench-{port}"
            yield port, door
        finally:
            listening.close()
            await server.end_all()
    finally:
        await runner.cleanup()


async def _listen(server: web.Server, door: Door, port: int, ask_within: float) -> asyncio.Server:
    """Listen, for so many at once, each of which must ask within so many seconds: others wait for theirs."""
    loop = asyncio.get_running_loop()

    def connection() -> asyncio.Protocol:
        if len(server.connections) >= CONNECTIONS:
            return _NoRoom()
        protocol = server()
        loop.call_later(ask_within, door.shut_on_silence, protocol)
        return protocol

    try:
        return await loop.create_server(connection, _HOST, port)
    except OSError as error:
        raise _no_port(port, error) from error


class _NoRoom(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it at once."""
        cast("asyncio.Transport", transport).abort()


def _no_port(port: int, error: OSError) -> PortError:
    why = "it is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
    return PortError(f"port {port} of {_HOST} cannot be had: {why}", "Name another with --port; 0 takes any that is free.")


async def _until_stopped() -> int:
    """Wait for a signal; the exit code that it means."""
    loop = asyncio.get_running_loop()
    code: asyncio.Future[int] = loop.create_future()

    def stop(value: int) -> None:
        if not code.done():
            code.set_result(value)

    loop.add_signal_handler(signal.SIGINT, stop, int(ExitCode.INTERRUPTED))
    for way_out in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(way_out, stop, int(ExitCode.OK))
    return await code


class Door:
    """Who may come in."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self.cookie = "workbench"
        self._session = secrets.token_urlsafe(32)
        self._heard: WeakSet[asyncio.BaseTransport] = WeakSet()

    def shut_on_silence(self, protocol: web.RequestHandler) -> None:
        """Close a connection on which nothing whole was asked yet."""
        transport = protocol.transport
        if transport is not None and transport not in self._heard:
            transport.abort()

    @web.middleware
    async def guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse, let in by the token, or pass on; whatever is answered gets the headers."""
        if request.transport is not None:
            self._heard.add(request.transport)
        response = await self._answer(request, handler)
        if response.status == web.HTTPForbidden.status_code:
            response.force_close()  # who has not been let in has no connection to keep
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if not self.is_ours(request):
            return _refused()
        token = request.query.get("token", "")
        if request.path == "/" and token and hmac.compare_digest(token.encode(), self.token.encode()):
            response = web.Response(status=303, headers={"Location": "/"})
            response.set_cookie(self.cookie, self._session, httponly=True, samesite="Strict", path="/")
            return response
        given = request.cookies.get(self.cookie, "")
        if not hmac.compare_digest(given.encode(), self._session.encode()):
            return _refused()
        try:
            return await handler(request)
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.status}\n")

    @staticmethod
    def is_ours(request: web.Request) -> bool:
        """Whether Host names loopback, and Origin, which a websocket must have, is that very host."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
            return False
        origins = request.headers.getall("Origin", [])
        if not origins:
            return "Upgrade" not in request.headers
        return origins == [f"http://{hosts[0]}"]


def _refused() -> web.Response:
    """The same for whatever is wrong: nothing is told to who should not ask."""
    return web.Response(status=403, text="Open the address that `workbench serve` printed.\n")


class _AppServer(Server):
    """textual-serve with our page, our door and our processes."""

    def __init__(self, words: tuple[str, ...], door: Door) -> None:
        super().__init__("workbench", host=_HOST, title="workbench")
        self._words = words
        self._door = door
        self._running: set[ServedApp] = set()

    def application(self) -> web.Application:
        """Routes behind the door."""
        app = web.Application(middlewares=[self._door.guard])
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/{name:page\\.(?:js|css)}", self._page),
                web.get("/ws", self.handle_websocket),
                web.static("/static", _STATIC, show_index=False, follow_symlinks=False),
            ]
        )
        return app

    async def _page(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "page.html")
        if name == "page.html" and len(self._running) >= SESSIONS:
            return web.Response(
                status=503, text=f"{SESSIONS} tabs are open, which is all there may be. Close one, then reload.\n"
            )
        # The Host header is one of three names and a port here: the door has seen to it.
        text = (files("workbench.tui") / "web" / name).read_text(encoding="utf-8")
        return web.Response(text=text.replace("{{ host }}", request.host), content_type=_PAGE[name])

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One tab: one process of the app, which ends with it."""
        if len(self._running) >= SESSIONS:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=MESSAGE)

        async def hang_up() -> None:
            try:
                await asyncio.wait_for(socket.close(), LEAVE)
            except TimeoutError:  # it takes nothing, not even a goodbye
                if request.transport is not None:
                    request.transport.abort()

        ways = {"write_bytes": socket.send_bytes, "write_str": socket.send_str, "close": hang_up}
        app = ServedApp(self._words, **ways, download_manager=self.download_manager)
        self._running.add(app)
        try:
            await socket.prepare(request)
            await app.start(*_asked_size(request))
            with contextlib.suppress(*_NONSENSE):  # no message of our page
                await _pass_on(socket, app)
        finally:
            await app.stop()
            self._running.discard(app)
        return socket

    async def end_all(self) -> None:
        """End every app."""
        await asyncio.gather(*(app.stop() for app in list(self._running)), return_exceptions=True)


async def _pass_on(socket: web.WebSocketResponse, app: ServedApp) -> None:
    """What the tab says, until it is gone. One of _NONSENSE for what no page of ours says."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            envelope = message.json()
            if not isinstance(envelope, list):
                raise TypeError("a message is a list")
            if envelope[0] == "ping":
                await socket.send_json(["pong", envelope[1]])
            else:
                await app.take(envelope)


def _asked_size(request: web.Request) -> tuple[int, int]:
    """The terminal's size as the page asks for it; that of a terminal of old where it makes no sense."""
    try:
        return side(request.query.get("width")), side(request.query.get("height"))
    except ValueError:
        return 80, 24
