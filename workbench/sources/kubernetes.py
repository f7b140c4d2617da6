"""A cluster's objects as they are and as they change, through the person's own kubectl: its configuration, its credentials.

For each kind one thread lists, then watches from where the list ended, again and again. Nothing is asked of the cluster but to
read pods, services and nodes: `kubectl get --raw` of /api/v1/pods?watch=1&resourceVersion=..., as the API documents it.
A watch that ends goes on from the last version it told; where the server no longer has that (410), all is listed anew, and what
happened in between was not seen.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final
from urllib.parse import quote, urlencode

from workbench.errors import ExternalError, UsageError
from workbench.records.visible import visible
from workbench.sources.inventory.json_items import JsonItems

SCHEME: Final = "kubernetes://"
#: Kinds that are followed, and their collections; those of the whole cluster are left out where one namespace is asked for.
KINDS: Final = {"Pod": "pods", "Service": "services", "Node": "nodes"}
_NEEDED: Final = "Pod"
_WHOLE: Final = ("Node",)
_PAGE: Final = 500
#: Seconds for which one watch is asked: the server ends it then, and the next goes on from there.
_WATCH: Final = 290
_LONGEST_WAIT: Final = 30.0
_QUEUED: Final = 5000
_GONE: Final = re.compile(r"\b410\b|Expired|too old resource version|\bGone\b", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(r"forbidden", re.IGNORECASE)
_NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is followed: a context of the person's kubeconfig ('' the current one), all namespaces or one."""

    context: str
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{SCHEME}{self.context}" + (f"?namespace={self.namespace}" if self.namespace else "")


def is_cluster(source: str) -> bool:
    """Whether it means to name a cluster."""
    return source.startswith(SCHEME)


def read_cluster(source: str) -> Cluster:
    """The cluster; UsageError where it is none."""
    context, asked, rest = source.removeprefix(SCHEME).partition("?")
    key, _, namespace = rest.partition("=")
    if asked and (key != "namespace" or _NAMESPACE.fullmatch(namespace) is None):
        raise UsageError(
            f"{visible(source[:200])}: behind the ? may stand namespace=NAME", "Write kubernetes://CONTEXT?namespace=NAME."
        )
    if "\0" in context or len(context) > 512:
        raise UsageError("the name of a context is too long, or holds a NUL", "kubectl config get-contexts lists them.")
    return Cluster(context, namespace or None)


@dataclass(frozen=True, slots=True)
class Told:
    """What a thread tells of its kind.

    what: begin and end (of a list), object (in a list), event, gap (the server forgot: a list follows), note (why nothing comes),
    ready (what was noted is over), refused (the kind may not be read) or failed. at: when, naive UTC. value: an object or event.
    """

    what: str
    kind: str
    at: dt.datetime
    value: Any = None
    text: str = ""


class ClusterWatch:
    """Follow a cluster until `stop`. `take` gives what was told since the last call."""

    def __init__(self, cluster: Cluster) -> None:
        """ExternalError where kubectl is not installed."""
        self.kubectl = shutil.which("kubectl")
        if self.kubectl is None:
            raise ExternalError(
                "kubectl is not installed",
                "Install it (Debian: kubernetes-client), or import what it wrote elsewhere: workbench import kubernetes.",
            )
        self.cluster = cluster
        self._told: queue.Queue[Told] = queue.Queue(_QUEUED)
        self._stop = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        kinds = [kind for kind in KINDS if not (cluster.namespace and kind in _WHOLE)]
        self._threads = [threading.Thread(target=self._follow, args=(kind,), daemon=True, name=f"watch {kind}") for kind in kinds]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def take(self, seconds: float, most: int = 1000) -> list[Told]:
        """What was told; waits so long for the first."""
        found: list[Told] = []
        with contextlib.suppress(queue.Empty):
            found.append(self._told.get(timeout=seconds))
            while len(found) < most:
                found.append(self._told.get_nowait())
        return found

    def stop(self) -> None:
        """End every kubectl; more than once does no harm."""
        self._stop.set()
        with self._lock:
            running = list(self._running)
        for process in running:
            _end(process)
        while any(thread.is_alive() for thread in self._threads):
            self.take(0.05)  # one may wait for room
        self._told = queue.Queue(_QUEUED)

    # -- one kind ---------------------------------------------------------------------------------

    def _follow(self, kind: str) -> None:
        version, wait, first = "", 0.5, True
        while not self._stop.is_set():
            try:
                if not version:
                    version = self._list(kind)
                    first = False
                version = self._watch(kind, version)
                wait = 0.5
            except _GoneError:
                self._tell("gap", kind)
                version = ""
            except ExternalError as error:
                if first:
                    refused = kind != _NEEDED and _FORBIDDEN.search(error.message) is not None
                    self._tell("refused" if refused else "failed", kind, text=error.message)
                    return
                self._tell("note", kind, text=error.message)
                self._stop.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT)

    def _list(self, kind: str) -> str:
        """Tell every object there is; the version that this was."""
        self._tell("begin", kind)
        token, version = "", ""
        while True:
            asked = {"limit": str(_PAGE)} | ({"continue": token} if token else {})
            token = ""
            for item in self._items(kind, asked):
                if item.problem:
                    raise ExternalError(f"a list of {KINDS[kind]} is cut or damaged: {item.problem}", "")
                value = _loaded(item.data)
                if item.head:
                    meta = value.get("metadata") if isinstance(value, dict) else None
                    meta = meta if isinstance(meta, dict) else {}
                    token, version = str(meta.get("continue") or ""), str(meta.get("resourceVersion") or "")
                else:
                    self._tell("object", kind, value)
            if not token:
                break
        if not version:
            raise ExternalError(f"what was answered is no list of {KINDS[kind]}", "Is this a Kubernetes API server?")
        self._tell("end", kind)
        return version

    def _watch(self, kind: str, version: str) -> str:
        """Tell events until the server ends the watch; the version that is known then. _GoneError where it is forgotten."""
        self._tell("ready", kind)
        asked = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": version, "timeoutSeconds": str(_WATCH)}
        for item in self._items(kind, asked):
            value = _loaded(item.data) if not item.problem else None
            if not isinstance(value, dict) or not isinstance(value.get("object"), dict):
                if not self._stop.is_set():
                    self._tell("event", kind, value)
                continue
            obj = value["object"]
            if value.get("type") == "ERROR":
                if obj.get("code") == 410:  # HTTP 410: so old a version is not kept
                    raise _GoneError(f"watch of {KINDS[kind]}: the version is gone")
                raise ExternalError(f"the watch of {KINDS[kind]} ended with an error", "")
            meta = obj.get("metadata")
            if isinstance(meta, dict) and isinstance(meta.get("resourceVersion"), str):
                version = meta["resourceVersion"]
            self._tell("event", kind, value)
        return version

    def _items(self, kind: str, asked: dict[str, str]) -> Iterator[Any]:
        namespace = f"/namespaces/{quote(self.cluster.namespace, safe='')}" if self.cluster.namespace else ""
        path = f"/api/v1{namespace}/{KINDS[kind]}?{urlencode(asked)}"
        items = JsonItems()
        with tempfile.TemporaryFile() as said:
            process = self._start(path, said)
            try:
                assert process.stdout is not None
                while piece := os.read(process.stdout.fileno(), 1 << 16):
                    yield from items.feed(piece)
                if not self._stop.is_set():
                    yield from items.finish()
            finally:
                _end(process)
                with self._lock:
                    self._running.discard(process)
            if process.returncode and not self._stop.is_set():
                raise _failed(said, kind)

    def _start(self, path: str, said: IO[bytes]) -> subprocess.Popen[bytes]:
        assert self.kubectl is not None
        context = [f"--context={self.cluster.context}"] if self.cluster.context else []
        with self._lock:
            if self._stop.is_set():
                raise ExternalError("it is to stop", "")
            process = subprocess.Popen(  # noqa: S603  the program is kubectl, found on PATH; no shell
                [self.kubectl, *context, "get", "--raw", path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,  # Ctrl-C in a terminal reaches us alone
            )
            self._running.add(process)
        return process

    def _tell(self, what: str, kind: str, value: Any = None, text: str = "") -> None:
        told = Told(what, kind, dt.datetime.now(dt.UTC).replace(tzinfo=None), value, text)
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._told.put(told, timeout=0.2)
                return


class _GoneError(ExternalError):
    """The server no longer has what changed since a version."""


def _failed(said: IO[bytes], kind: str) -> ExternalError:
    """What kubectl said last."""
    said.seek(0, os.SEEK_END)
    said.seek(max(0, said.tell() - 4096))
    lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    last = visible(lines[-1][:400]) if lines else "it said nothing"
    if _GONE.search(last):
        return _GoneError(last)
    return ExternalError(
        f"kubectl cannot read {KINDS[kind]}: {last}", "Try kubectl get pods with the same context; it needs get, list and watch."
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, and whatever it started to log in."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
