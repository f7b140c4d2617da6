"""docs/conformance.md: ``python -m tests.conformance.document`` (``make conformance``) writes it anew."""

from __future__ import annotations

import sys

from tests.conformance import oracle
from tests.conformance.captures import ROOT, captures
from tests.conformance.causes import CAUSES
from tests.conformance.checks import CHECKS, Check
from tests.conformance.said import fields_section, fingerprints_section, services_section
from tests.conformance.test_zeek import everything, listed, matches

PAGE = ROOT / "docs" / "conformance.md"

_HEAD = """# Conformance

What this program makes of {captures} captures from public projects' test suites, beside what other programs make of them.
The captures are no part of the project; `WORKBENCH_CONFORMANCE` says where they lie. Each comparison is a test
(`tests/conformance`), which fails on a difference whose cause is not written down and on a cause that is no longer needed.

This page is generated: `make conformance`.

| comparison | against | agree | differ |
|---|---|---|---|
"""


def page(checks: list[Check]) -> str:
    """The page as Markdown."""
    out = [_HEAD.format(captures=len(captures()))]
    out += [
        f"| {check.name} | {check.against} | {check.agree} of {check.total} | {len(check.differences)} |\n" for check in checks
    ]
    for check in checks:
        if check.differences:
            out.append(
                f"\n## {check.name[0].upper()}{check.name[1:]}: every difference\n\n| capture | what | cause |\n|---|---|---|\n"
            )
            for capture, what in check.differences:
                cause = CAUSES.get((check.name, capture), "**not known**")
                out.append(f"| `{capture}` | {what.replace('|', '/')} | {cause} |\n")
    out.append(flows_section())
    out += [fields_section(), fingerprints_section(), services_section()]
    out.append(_MALFORMED)
    return "".join(out)


_FLOWS = """
## Flows beside Zeek's conn.log

Tuple, direction, state, history, packets, bytes and payload of every row of Zeek's baselines: {rows} rows, {found} of them there;
{agree} of {values} values agree. Every difference has its cause; by state and by capture all else agrees. The outer sides of
tunnels are rows of `tunnels`, not of `flows`: a comparison that looks for them among flows misses them, as the three of
`vxlan-encapsulated-igmp-v2.pcap`.

| capture | flow | field | differ | cause |
|---|---|---|---|---|
"""


def flows_section() -> str:
    """Flows beside Zeek's: how many values agree, and each cause with how many values it explains."""
    found = everything()
    rows = [one for one in found if one.field == "row"]
    values = [one for one in found if one.field != "row"]
    there, agree = sum(one.agrees for one in rows), sum(one.agrees for one in values)
    out = [_FLOWS.format(rows=len(rows), found=there, agree=f"{agree:,}", values=f"{len(values):,}")]
    for line in listed():
        differ = sum(not one.agrees and matches(line, one) for one in found)
        flow = "every" if line["tuple"] == "*" else line["tuple"]
        out.append(f"| `{line['capture']}` | {flow} | {line['field']} | {differ} | {line['cause']} |\n")
    return "".join(out)


_MALFORMED = """
## Malformed captures

Every capture of the set that is listed as malformed ends with exit code 0 or 3, a message and no traceback
(`tests/conformance/test_malformed.py`). Every capture below 20 kB is read whole, and cut or with bytes flipped at places drawn
from a fixed seed: nothing but a clean error may come of it, and every packet must be accounted for. The same sweep runs a
second time with `NUMBA_BOUNDSCHECK=1`, where planted overruns are proven to raise, and must give the same numbers.

## Fuzzing

`make fuzz` runs three targets for a minute each, with bounds of kernels checked: `tests/fuzz/fuzz_decode.py` damages packets and
capture files; `tests/fuzz/fuzz_application.py` walks the registry and tells conversations of the sample captures again through
the flow table with some of their messages damaged, spliced or left out: nothing but rows may come of it, and the ledger must not
count a reader that failed. Each round is told by its seed: `python -m tests.fuzz.fuzz_application 1 SEED`. With atheris
installed, `--atheris` lets coverage guide both. `tests/fuzz/fuzz_telemetry.py` does the same to exporters' messages.

## Coverage

Of the parsers' Python (`workbench/decode/application`) the tests in `tests/decode/application` take 97% of the branches, and at
least 90% of every module's. Coverage does not see into compiled kernels: those are held against readers in plain Python of
their own, whatever hypothesis makes of real messages.
"""


def main() -> None:
    """Run every comparison and write the page."""
    from workbench.workflows.kernels import prepare_kernel_cache

    prepare_kernel_cache()
    if not captures() or oracle.missing():
        sys.exit(f"needs the captures (WORKBENCH_CONFORMANCE) and {', '.join(oracle.TOOLS)}")
    PAGE.write_text(page([check() for check in CHECKS]))


if __name__ == "__main__":
    main()
