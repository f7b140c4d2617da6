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
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import textual_serve
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from workbench.errors import ExitCode, PortError

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from workbench.workflows.requests import ServeRequest

_HOST: Final = "127.0.0.1"
#: How a browser may call us. Any port: `ssh -L` forwards another one.
_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{1,5})?")
#: App processes at once; each holds a case open.
_SESSIONS: Final = 8
#: Seconds that an app has to leave before it is killed.
_LEAVE: Final = 10.0

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
    door = Door()
    server = _AppServer(request, door)
    runner = web.AppRunner(server.application(), handle_signals=False, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, _HOST, request.port).start()
        except OSError as error:
            raise _no_port(request.port, error) from error
        port = int(runner.addresses[0][1])
        door.cookie = f"workbench-{port}"
        sys.stdout.write(f"http://{_HOST}:{port}/?token={door.token}\n")
        sys.stdout.flush()
        return await _until_stopped()
    finally:
        await server.end_all()
        await runner.cleanup()


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

    @web.middleware
    async def guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse, let in by the token, or pass on; whatever is answered gets the headers."""
        response = await self._answer(request, handler)
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

    def __init__(self, request: ServeRequest, door: Door) -> None:
        super().__init__("workbench", host=_HOST, port=request.port, title="workbench")
        self._words = (sys.executable, "-m", "workbench", *request.words)
        self._door = door
        self._running: set[AppService] = set()

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
        # The Host header is one of three names and a port here: the door has seen to it.
        text = (files("workbench.tui") / "web" / name).read_text(encoding="utf-8")
        return web.Response(text=text.replace("{{ host }}", request.host), content_type=_PAGE[name])

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """One tab: one process of the app, which ends with it."""
        if len(self._running) >= _SESSIONS:
            raise web.HTTPServiceUnavailable
        width, height = (_size(request.query.get(name, "")) for name in ("width", "height"))
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=1 << 20)
        await socket.prepare(request)
        service = _Session(
            self._words,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=socket.close,
            download_manager=self.download_manager,
        )
        self._running.add(service)
        try:
            await service.start(width or 80, height or 24)
            with contextlib.suppress(ValueError, TypeError, KeyError, IndexError, AssertionError):  # no message of our page
                await self._process_messages(socket, service)
        finally:
            self._running.discard(service)
            await service.stop()
            await socket.close()
        return socket

    async def end_all(self) -> None:
        """End every app."""
        await asyncio.gather(*(service.stop() for service in list(self._running)), return_exceptions=True)


class _Session(AppService):
    """An app process, started without a shell and not left behind."""

    def __init__(self, words: tuple[str, ...], **rest: object) -> None:
        super().__init__("workbench", **rest)  # type: ignore[arg-type]
        self._words = words

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        pipe = asyncio.subprocess.PIPE
        environment = self._build_environment(width=width, height=height)
        for name in ("NO_COLOR", "TEXTUAL"):  # of the terminal that serves, not of the browser
            environment.pop(name, None)
        self._process = process = await asyncio.create_subprocess_exec(
            *self._words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        assert process.stdin is not None
        self._stdin = process.stdin
        return process

    async def stop(self) -> None:
        """Ask it to leave; kill it where it does not."""
        process, task = self._process, self._task
        if process is None or task is None:
            return
        self._task = None
        await self.send_meta({"type": "quit"})
        try:
            await asyncio.wait_for(process.wait(), _LEAVE)
        except TimeoutError:
            process.kill()
            await process.wait()
        with contextlib.suppress(asyncio.CancelledError, OSError, RuntimeError):
            await task


def _size(text: str) -> int:
    """Cells of a terminal's side; 0 where that is no sensible number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 and 0 < int(text) <= 1000 else 0
