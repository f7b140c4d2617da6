import pyarrow as pa
import pytest

from workbench.records.arrow import arrow_schema
from workbench.records.columns import TABLES, Table


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_schema_is_the_column_list(table: Table) -> None:
    schema = arrow_schema(table.name)
    assert tuple(schema.names) == table.names
    assert [schema.field(c.name).nullable for c in table.columns] == [c.null for c in table.columns]


def test_types_are_those_that_every_engine_keeps() -> None:
    kept = {pa.int64(), pa.int32(), pa.float64(), pa.bool_(), pa.utf8(), pa.binary(), pa.timestamp("us")}
    for table in TABLES:
        assert set(arrow_schema(table.name).types) <= kept


def test_an_unknown_table_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        arrow_schema("nothing")
