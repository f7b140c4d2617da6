"""docs/schema.md from the one column list and the view files; a test checks that it is current."""

from __future__ import annotations

from workbench.records.columns import SCHEMA_VERSION, TABLES, Table
from workbench.store.views import View, load_views

_HEAD = f"""# Tables and views of a case

Schema version {SCHEMA_VERSION}. `case.duckdb` holds these as native tables and views: every one works in the plain `duckdb`
shell (1.2 or later) on the file opened read-only, and in `workbench query`. Types are those that Parquet keeps unchanged;
times are UTC without a zone, microseconds. The privacy classes are explained in [privacy.md](privacy.md).

This page is generated: `python -m workbench.store.document > docs/schema.md`.
"""


def schema_page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(map(_table, TABLES)) + "".join(map(_view, load_views()))


def _table(table: Table) -> str:
    rows = [
        f"| `{c.name}` | {c.type} | {_cell(c.meaning)} | {c.unit} | {c.privacy} | {'' if c.null else 'not null'} |\n"
        for c in table.columns
    ]
    head = "| column | type | meaning | unit | privacy | |\n|---|---|---|---|---|---|\n"
    return f"\n## Table `{table.name}`\n\n{table.meaning[0].upper()}{table.meaning[1:]}.\n\n{head}{''.join(rows)}"


def _view(view: View) -> str:
    rows = [f"| `{name}` | {_cell(meaning)} |\n" for name, meaning in view.columns.items()]
    text = " ".join(view.description.split())
    return f"\n## View `{view.id}`\n\n{view.title}. {text}\n\n| column | meaning |\n|---|---|\n{''.join(rows)}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    import sys

    sys.stdout.write(schema_page())
