"""What deserves a line in the audit log: whatever changes a case, shows what was masked, or leaves it.

Reading (queries, screens) is not logged: a log of every question asked would bury the lines that matter
and would itself tell more than it guards.
"""

from __future__ import annotations

from typing import Final

#: Action to what it means and what its detail holds. Names are never reused.
ACTIONS: Final[dict[str, str]] = {
    "case_created": "the case folder was made; version of the program",
    "source_indexed": "a source was indexed; path, sha256, packets, flows, state, settings that shaped its flows",
    "source_refused": "a source yielded nothing; path and why",
    "index_cancelled": "the person stopped indexing; how many sources were finished",
    "attached": "a live source was begun; where, filter, snap length, whether payload is kept and why",
    "detached": "a live source ended; path, packets, flows, drops, state",
    "case_recovered": "leftovers of a crash were found and what became of them",
    "case_rebuilt": "the index was made anew, from a foreign or an older case",
    "case_migrated": "the tables were brought to this version's schema; from, to",
    "detections_run": "detections ran and what they found was kept; by detection how many findings",
    "note_added": "a note was written; its id, what it is on, SHA-256 of its text",
    "finding_judged": "a finding was given a state; its id, the state and the reason",
    "packets_unmasked": "masked content of packets was about to be shown; why, which flows, source and packet, tshark's version",
    "packets_carved": "packets, content and all, were written to a file; its name, which flows or filter, side, packets, bytes",
    "log_recovered": "the last line of this log was torn (a crash, a full disk): its bytes and their SHA-256",
    "head_signed": "the log's head was signed; sequence number, hash and signer",
}
