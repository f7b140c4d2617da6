"""docs/ledger.md from the list of reasons; a test checks that it is current."""

from __future__ import annotations

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


if __name__ == "__main__":
    import sys

    sys.stdout.write(ledger_page())
