"""docs/ledger.md from the list of reasons, and the list of fields in docs/privacy.md; tests check that they are current."""

from __future__ import annotations

from workbench.records.columns import TABLES, Privacy
from workbench.records.reasons import REASONS

_HEAD = """# The ledger

Every answer is read beside the ledger: what was not decoded, what was not there to be seen, and what was done on the
way. For every source, `packets = packets in flows + rows of arp + undecoded`. Each line has the numbers of the first
frames concerned (from 1, as Wireshark counts), and says in `detail` what exactly.

This page is generated: `python -m workbench.records.document > docs/ledger.md`.

| reason | kind | meaning |
|---|---|---|
"""


def ledger_page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(f"| `{r.name}` | {r.kind} | {r.meaning} |\n" for r in REASONS)


def fields_list() -> str:
    """Every stored field by table and privacy class, as it stands in docs/privacy.md."""
    lines = []
    for table in TABLES:
        by_class = {kind: [f"`{c.name}`" for c in table.columns if c.privacy is kind] for kind in Privacy}
        told = "; ".join(f"{kind.value}: {', '.join(names)}" for kind, names in by_class.items() if names)
        lines.append(f"- **{table.name}**: {told}\n")
    return "".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(fields_list() if "fields" in sys.argv else ledger_page())
