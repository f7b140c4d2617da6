"""A stand-in of a Kubernetes API server for the real kubectl: lists in pages, watches, bookmarks, and versions it forgets.

It speaks what the API's documents describe (Kubernetes API Concepts: efficient detection of changes, 410 Gone, bookmarks,
retrieving large results in chunks) over plain HTTP, for get --raw alone. It is no API server: a real one was not to be had here.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_KINDS = {"pods": "Pod", "services": "Service", "nodes": "Node"}
_PAGE = 2  # smaller than what is asked for: a server may


class ApiServer:
    """Objects by collection and name; `change` and `delete` them, `disconnect` who watches, `forget` what changed."""

    def __init__(self) -> None:
        self.version = 100
        self.oldest = 0
        self.forbidden: set[str] = set()
        self.asked: list[str] = []
        self._objects: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in _KINDS}
        self._events: list[tuple[int, str, str, dict[str, Any]]] = []
        self._turn = threading.Condition()
        self._epoch = 0
        self._closed = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def kubeconfig(self, folder: Path) -> Path:
        """A configuration whose current context, `lab`, is this server."""
        server = f"http://127.0.0.1:{self._server.server_address[1]}"
        path = folder / "kubeconfig"
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "c", "cluster": {"server": server}}],
                    "users": [{"name": "u", "user": {}}],
                    "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u"}}],
                    "current-context": "lab",
                }
            )
        )
        return path

    # -- what happens -----------------------------------------------------------------------------

    def change(self, collection: str, obj: dict[str, Any]) -> None:
        with self._turn:
            self.version += 1
            obj["metadata"]["resourceVersion"] = str(self.version)
            name = obj["metadata"]["name"]
            kind = "MODIFIED" if name in self._objects[collection] else "ADDED"
            self._objects[collection][name] = obj
            self._events.append((self.version, collection, kind, obj))
            self._turn.notify_all()

    def delete(self, collection: str, name: str) -> None:
        with self._turn:
            self.version += 1
            obj = self._objects[collection].pop(name)
            obj["metadata"]["resourceVersion"] = str(self.version)
            self._events.append((self.version, collection, "DELETED", obj))
            self._turn.notify_all()

    def disconnect(self) -> None:
        """Every watch ends, as after its time."""
        with self._turn:
            self._epoch += 1
            self._turn.notify_all()

    def forget(self) -> None:
        """What changed until now is not told any more: the next watch from before gets 410."""
        with self._turn:
            self.oldest = self.version
            self._events.clear()

    # -- answers ----------------------------------------------------------------------------------

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        url = urlsplit(asked.path)
        given = {key: values[0] for key, values in parse_qs(url.query).items()}
        collection = url.path.rsplit("/", 1)[-1]
        self.asked.append(asked.path)
        if collection in self.forbidden:
            _send(asked, 403, _status(403, "Forbidden", f'{collection} is forbidden: User "u" cannot list resource'))
        elif collection not in _KINDS:
            _send(asked, 404, _status(404, "NotFound", "the server could not find the requested resource"))
        elif given.get("watch") == "1":
            self._watch(asked, collection, int(given["resourceVersion"]))
        else:
            self._list(asked, collection, given)

    def _list(self, asked: BaseHTTPRequestHandler, collection: str, given: dict[str, str]) -> None:
        with self._turn:
            everything = list(self._objects[collection].values())
            start = int(given.get("continue", "0"))
            items = [{key: value for key, value in one.items() if key not in ("kind", "apiVersion")} for one in everything]
            meta = {"resourceVersion": str(self.version)}
            if start + _PAGE < len(items):
                meta["continue"] = str(start + _PAGE)
            page = items[start : start + _PAGE]
            body = json.dumps({"kind": f"{_KINDS[collection]}List", "apiVersion": "v1", "metadata": meta, "items": page})
        _send(asked, 200, body.encode() + b"\n")

    def _watch(self, asked: BaseHTTPRequestHandler, collection: str, since: int) -> None:
        asked.send_response(200)
        asked.send_header("Content-Type", "application/json")
        asked.send_header("Transfer-Encoding", "chunked")
        asked.end_headers()
        epoch = self._epoch
        try:
            if since < self.oldest:
                _chunk(
                    asked, {"type": "ERROR", "object": json.loads(_status(410, "Expired", f"too old resource version: {since}"))}
                )
            else:
                self._stream(asked, collection, since, epoch)
            asked.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        asked.close_connection = True

    def _stream(self, asked: BaseHTTPRequestHandler, collection: str, since: int, epoch: int) -> None:
        while True:
            with self._turn:
                new = [event for event in self._events if event[0] > since and event[1] == collection]
                if not new:
                    if self._closed or self._epoch != epoch:
                        break
                    self._turn.wait(1)
                    continue
                since = new[-1][0]
            for _, _, kind, obj in new:
                _chunk(asked, {"type": kind, "object": obj})
        mark = {"kind": _KINDS[collection], "metadata": {"resourceVersion": str(since)}}
        _chunk(asked, {"type": "BOOKMARK", "object": mark})


def _status(code: int, reason: str, message: str) -> bytes:
    return json.dumps(
        {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}
    ).encode()


def _send(asked: BaseHTTPRequestHandler, code: int, body: bytes) -> None:
    asked.send_response(code)
    asked.send_header("Content-Type", "application/json")
    asked.send_header("Content-Length", str(len(body)))
    asked.end_headers()
    asked.wfile.write(body)


def _chunk(asked: BaseHTTPRequestHandler, value: Any) -> None:
    body = json.dumps(value).encode() + b"\n"
    asked.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
    asked.wfile.flush()
