"""A page of figures on a port of loopback, for a Prometheus that runs on this machine. Nobody else can reach it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from workbench.errors import PortError

_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds that somebody may take to send a request.
_PATIENCE: Final = 5.0


class MetricsPort:
    """Serves what `page` returns at /metrics, on a thread of its own. port: 0 for any."""

    def __init__(self, port: int, page: Callable[[], str]) -> None:
        """Listen; PortError where the port cannot be had."""

        class Handler(BaseHTTPRequestHandler):
            timeout = _PATIENCE
            server_version = "workbench"
            sys_version = ""

            def do_GET(self) -> None:
                found = self.path == "/metrics"
                body = page().encode() if found else b"See /metrics.\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", _TYPE if found else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: stderr is for people."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            raise PortError(
                f"port {port} of loopback cannot be had: {error.strerror}", "Name another with --metrics-port."
            ) from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
