"""Who held an address at one instant, by looking at every claim: slow, and written from docs/identity.md alone."""

from __future__ import annotations

from typing import Any

from tests.identity.claimed import seconds

EVER, NEVER = -10_000, 10_000


def holders(claims: list[dict[str, Any]], network: str | None, ip: str, at: int) -> tuple[set[tuple[str, str | None]], float]:
    """(uid, name) of those who hold the address of exactly this network (None: any) at a time, and how strong that is."""
    active = [c for c in _standing(claims) if c["network"] == network and c["ip"] == ip and c["begin"] <= at < c["end"]]
    if not active:
        return set(), 0.0
    strongest = max(c["confidence"] for c in active)
    active = [c for c in active if c["confidence"] == strongest]
    found = set()
    for uid in {c["uid"] for c in active}:
        said = [c for c in active if c["uid"] == uid]
        last = max(said, key=lambda c: (c["seen"], c["begin"], c["end"], c["name"] is not None, c["name"]))
        found.add((uid, last["name"]))
    return found, strongest


def _standing(claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = [
        dict(
            c,
            begin=EVER if c["ts_from"] is None else seconds(c["ts_from"]),
            end=NEVER if c["ts_to"] is None else seconds(c["ts_to"]),
            seen=EVER if c["ts_seen"] is None else seconds(c["ts_seen"]),
        )
        for c in claims
    ]
    held = [dict(r) for r in rows if r["ip"] is not None]
    for row in held:
        row["end"] = min(row["end"], _told_end(rows, row))
    ended = [dict(r) for r in held]
    for row in held:
        if row["end"] == NEVER:
            row["end"] = _next_end(ended, row)
    return [r for r in held if r["begin"] < r["end"] and not _replaced(held, r)]


def _told_end(rows: list[dict[str, Any]], row: dict[str, Any]) -> int:
    ends = [e for e in rows if e["ip"] is None and e["uid"] == row["uid"] and e["end"] < NEVER]
    good = [e["end"] for e in ends if e["end"] > row["begin"] or (e["end"] == row["begin"] and e["seen"] >= row["seen"])]
    return min(good, default=NEVER)


def _next_end(rows: list[dict[str, Any]], row: dict[str, Any]) -> int:
    ends = [r for r in rows if _same(r, row) and r["begin"] < r["end"] < NEVER and r["end"] > row["begin"]]
    first = min((r["end"] for r in ends), default=NEVER)
    said = max((r["seen"] for r in ends if r["end"] == first), default=EVER)
    return first if said > row["seen"] else NEVER


def _replaced(rows: list[dict[str, Any]], row: dict[str, Any]) -> bool:
    def order(r: dict[str, Any]) -> Any:
        return (r["seen"], r["end"], r["confidence"], r["name"] is not None, r["name"])

    later = [r for r in rows if _same(r, row)]
    if row["begin"] == EVER and any(r["seen"] > row["seen"] for r in later):
        return True
    return any(r["begin"] == row["begin"] and order(r) > order(row) for r in later)


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(a[name] == b[name] for name in ("origin", "uid", "network", "ip"))
