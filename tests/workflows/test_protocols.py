from __future__ import annotations

from workbench.decode.application.registry import protocols
from workbench.records.columns import BY_NAME
from workbench.workflows.protocols import known_protocols


def test_every_protocol_is_listed_with_what_is_kept_of_it() -> None:
    listed = {one["name"]: one for one in known_protocols()}
    assert set(listed) == {protocol.name for protocol in protocols()}
    assert listed["http"]["tables"]["http"]["host"] == "name"
    assert listed["http"]["known_by"].startswith("content")
    for one in listed.values():
        assert one["title"]
        for table, columns in one["tables"].items():
            assert list(columns) == list(BY_NAME[table].names)
