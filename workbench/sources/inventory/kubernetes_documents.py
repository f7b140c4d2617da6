"""A file of Kubernetes objects to claims, piece by piece: JSON or YAML, told by its first byte."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from workbench.sources.inventory.json_items import Item, JsonItems
from workbench.sources.inventory.kubernetes import Kubernetes
from workbench.sources.inventory.yaml_items import YamlError, YamlItems, read_yaml


class KubernetesDocument:
    """Feed it a file's bytes, then `finish`: what it holds goes to `into`, which may have read files before.

    A list in it that is whole is a snapshot: what it lacks of what was known before is gone since. Where several lists follow
    each other each is one; the last is as old as the file.
    """

    def __init__(self, into: Kubernetes) -> None:
        self._into = into
        self._items: JsonItems | YamlItems | None = None
        self._head = b""
        self._list_over = False  # whether a list ended, and nothing came since
        into.begin()

    def feed(self, data: bytes) -> None:
        """More of the file."""
        if self._items is None:
            self._head += data
            first = self._head.lstrip(b"\xef\xbb\xbf\x1e \t\r\n")[:1]
            if not first:
                return
            self._items = JsonItems() if first in (b"{", b"[") else YamlItems()
            data, self._head = self._head, b""
        for item in self._items.feed(data):
            self._take(item)

    def finish(self, at: dt.datetime | None) -> None:
        """The file is over. at: when it was written (naive UTC), None where nobody knows."""
        for item in self._items.finish() if self._items is not None else ():
            self._take(item)
        self._into.end(at if self._list_over else None, listed=self._list_over)

    def _take(self, item: Item) -> None:
        if self._list_over:  # not the last one: as old as what is in it
            self._into.end(listed=True)
            self._into.begin()
            self._list_over = False
        if item.problem:
            self._into.told.objects += 1
            self._into.told.bad(item.problem, item.where)
        elif item.head:
            self._list_over = True
        else:
            try:
                self._into.take(self._read(item.data), item.where, item.kind)
            except (ValueError, RecursionError):
                self._into.told.objects += 1
                kind = "YAML" if isinstance(self._items, YamlItems) else "JSON"
                self._into.told.bad(f"not {kind}", item.where)

    def _read(self, data: bytes) -> Any:
        if isinstance(self._items, YamlItems):
            try:
                return read_yaml(data)
            except YamlError as error:
                raise ValueError(str(error)) from error
        return json.loads(data)
