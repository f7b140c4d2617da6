from pathlib import Path

from workbench.records.document import fields_list, ledger_page
from workbench.records.reasons import REASONS

PAGE = Path(__file__).parents[2] / "docs" / "ledger.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == ledger_page()


def test_every_reason_has_its_line() -> None:
    page = PAGE.read_text()
    assert all(f"| `{reason.name}` |" in page for reason in REASONS)


def test_every_stored_field_stands_on_the_page_about_privacy() -> None:
    page = (PAGE.parent / "privacy.md").read_text()
    assert fields_list() in page, "put the output of `python -m workbench.records.document fields` into docs/privacy.md"
