"""SQL around what a format's file says: fields taken out of lines, values cast to the types of their columns.

Every value is cast by the house, so that a file may give text: what is no number, time or truth becomes null and is counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from workbench.records.columns import BY_NAME, Type
from workbench.store.engine import identifier, literal
from workbench.store.import_pairing import EXTRA

#: Times as text or numbers: seconds, milli-, micro- or nanoseconds since 1970 by their size, or ISO 8601 (UTC where it has no
#: offset). What is 0, before 1970 or behind 2200 is a sentinel: null.
_AS_TIME: Final = r"""
CREATE MACRO as_seconds(x) AS CASE
    WHEN x IS NULL OR NOT isfinite(x) THEN NULL
    WHEN abs(x) < 1e11 THEN x WHEN abs(x) < 1e14 THEN x / 1e3 WHEN abs(x) < 1e17 THEN x / 1e6 ELSE x / 1e9 END;
CREATE MACRO bounded(x) AS CASE WHEN abs(x) < 8e9 THEN x END;
CREATE MACRO as_micros(x) AS CASE
    WHEN regexp_full_match(x, '\s*-?[0-9]+(\.[0-9]*)?([eE][+]?[0-9]{1,3})?\s*')
    THEN CAST(round(1e6 * bounded(as_seconds(TRY_CAST(x AS DOUBLE)))) AS BIGINT)
    ELSE epoch_us(TRY_CAST(x AS TIMESTAMPTZ)) END;
CREATE MACRO as_time(x) AS CASE
    WHEN as_micros(CAST(x AS VARCHAR)) BETWEEN 1 AND 7258118400000000 THEN make_timestamp(as_micros(CAST(x AS VARCHAR))) END;
CREATE MACRO no_time(x) AS as_micros(CAST(x AS VARCHAR)) <= 0
"""
#: Names of application protocols as other programs write them, in ours; several, separated by commas or plus signs, each once.
_SERVICE: Final = """
CREATE MACRO service_name(x) AS nullif(array_to_string(list_distinct_ordered(list_filter(list_transform(
    string_split(replace(lower(x), '+', ','), ','),
    lambda s: CASE trim(s) WHEN 'ssl' THEN 'tls' WHEN 'dce_rpc' THEN 'dcerpc' WHEN 'dcerpc_udp' THEN 'dcerpc'
        WHEN 'krb_tcp' THEN 'kerberos' WHEN 'krb' THEN 'kerberos' WHEN 'krb5' THEN 'kerberos' WHEN 'krb_udp' THEN 'kerberos'
        WHEN 'ldap_tcp' THEN 'ldap' WHEN 'ldap_udp' THEN 'ldap' WHEN 'gssapi' THEN '' WHEN 'spnego' THEN ''
        WHEN 'failed' THEN '' WHEN 'unknown' THEN '' WHEN '-' THEN '' ELSE trim(s) END),
    lambda s: s <> '')), ','), '')
"""
_ORDERED: Final = """
CREATE MACRO list_distinct_ordered(l) AS list_filter(l, lambda e, i: list_position(l, e) = i)
"""
#: What SQL of several formats needs. as_list: a JSON array of texts, or a list with commas, as the latter.
#: words: names of what is true.
_LISTS: Final = """
CREATE MACRO as_list(x) AS CASE WHEN x LIKE '[%' AND json_valid(x) THEN array_to_string(json_extract_string(x, '$[*]'), ',')
    ELSE x END;
CREATE MACRO first_of(x) AS nullif(string_split(as_list(x), ',')[1], '');
CREATE MACRO how_many(x) AS CASE WHEN as_list(x) = '' THEN 0 ELSE len(string_split(as_list(x), ',')) END;
CREATE MACRO first_number(x) AS nullif(regexp_extract(x, '[0-9]+'), '');
CREATE MACRO second_number(x) AS nullif(regexp_extract(x, '[0-9]+[^0-9]+([0-9]+)', 1), '');
CREATE MACRO whole_numbers(x) AS array_to_string(list_transform(string_split(x, ','),
    lambda t: coalesce(CAST(TRY_CAST(TRY_CAST(t AS DOUBLE) AS BIGINT) AS VARCHAR), t)), ',');
CREATE MACRO in_micros(x) AS CASE WHEN TRY_CAST(x AS DOUBLE) BETWEEN 0 AND 2000
    THEN CAST(round(1e6 * TRY_CAST(x AS DOUBLE)) AS BIGINT) END;
CREATE MACRO words(a, x, b, y, c, z, d, w) AS nullif(array_to_string(list_filter([CASE WHEN a THEN x END, CASE WHEN b THEN y END,
    CASE WHEN c THEN z END, CASE WHEN d THEN w END], lambda t: t IS NOT NULL), ','), '')
"""
MACROS: Final = (
    *(part for part in _LISTS.split(";") if part.strip()),
    *(part for part in _AS_TIME.split(";") if part.strip()),
    _ORDERED,
    _SERVICE,
)

#: Columns that a SELECT may yield beside those of its table.
ALWAYS: Final = ("n", "key", "reject")
_OURS: Final = frozenset({"flow_id", "source_id"})


def table_columns(table: str, *, paired: bool = False) -> dict[str, str]:
    """What a SELECT into that table may yield, with the types they are cast to. paired: rows become flows together."""
    found = {c.name: str(c.type) for c in BY_NAME[table].columns if c.name not in _OURS}
    if "flow_id" in BY_NAME[table].names and table != "flows":  # rows of a flow: what is known of the flow itself
        found |= {f"flow_{c.name}": str(c.type) for c in BY_NAME["flows"].columns if c.name not in _OURS}
        found["flow_proto"] = "VARCHAR"
    if table == "flows":
        found["proto"] = "VARCHAR"  # number or name: told apart later
        found |= EXTRA if paired else {}
    return {"n": "BIGINT", "key": "VARCHAR", "reject": "VARCHAR", **found}


def cast(name: str, source: str, target: str) -> str:
    """One column as its table has it. source: the type that the SELECT gives."""
    x = identifier(name)
    if target == Type.VARCHAR:
        return f"nullif(CAST({x} AS VARCHAR), '')"
    if target == Type.TIMESTAMP:
        return f"CAST({x} AS TIMESTAMP)" if source.startswith("TIMESTAMP") else f"as_time({_plain(x, source)})"
    if target == Type.DOUBLE:
        number = f"TRY_CAST({_plain(x, source)} AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    return f"TRY_CAST({_plain(x, source)} AS {target})"


def spoilt(name: str, source: str, target: str) -> str | None:
    """Whether a value was there and became null, as an SQL condition; None where that can't be."""
    if source != "VARCHAR" or target == Type.VARCHAR:
        return None
    said = f"{_plain(identifier(name), source)} IS NOT NULL AND {cast(name, source, target)} IS NULL"
    return f"{said} AND NOT coalesce(no_time({identifier(name)}), false)" if target == Type.TIMESTAMP else said


def _plain(x: str, source: str) -> str:
    return f"nullif(nullif(trim({x}), ''), '-')" if source == "VARCHAR" else x


def mentioned(fields: Iterable[str], sql: str) -> tuple[str, ...]:
    """Those fields that an SQL text names: others need not be taken out of the lines."""
    return tuple(f for f in fields if re.search(rf"(?<![\w.]){re.escape(f)}(?![\w])", sql))


def split_fields(of: dict[str, int], wanted: Iterable[str], nothing: Iterable[str]) -> str:
    """Columns out of the list `f`. of: field -> its place, from 1. Absent ones are null; nothing: texts that mean no value."""
    none = ", ".join(literal(text) for text in nothing)
    return "".join(
        f", CASE WHEN f[{of[name]}] NOT IN ({none}) THEN f[{of[name]}] END AS {identifier(name)}"
        if name in of
        else f", CAST(NULL AS VARCHAR) AS {identifier(name)}"
        for name in wanted
    )


def json_fields(wanted: tuple[str, ...], nothing: Iterable[str]) -> tuple[str, str]:
    """The list of JSON paths to take, and the columns out of the list `f` that they give. A name with dots is a key or a path."""
    paths: list[str] = []
    columns = ""
    none = ", ".join(literal(text) for text in nothing)
    for name in wanted:
        paths.append("$." + json.dumps(name))
        x = f"f[{len(paths)}]"
        if "." in name:
            paths.append("$." + ".".join(json.dumps(part) for part in name.split(".")))
            x = f"coalesce({x}, f[{len(paths)}])"
        columns += f", CASE WHEN {x} NOT IN ({none}) THEN {x} END AS {identifier(name)}"
    return "[" + ", ".join(literal(p) for p in paths) + "]" if paths else "CAST([] AS VARCHAR[])", columns
