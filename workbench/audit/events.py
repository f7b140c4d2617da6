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
    "rows_exported": "rows were written to a file; its name, what was asked for, rows",
    "policy_saved": "a version of a policy was kept; its name, number, SHA-256 and size, which version it was made from, and why",
    "push_enrolled": "a DPU got its resident; target, address, the resident's SHA-256, whose signatures it takes",
    "push_planned": "a push was planned; target, digests of bundle, policy and what ran, what changes, what was forced and why",
    "push_signed": "a plan was signed; target, digest, whose key (as allowed signers name it), author, break-glass and why",
    "push_approved": "a plan was approved; target, digest, whose key (as allowed signers name it)",
    "push_applied": "a plan was applied; target, digest, window, whether what runs was read back and proven",
    "push_refused": "a DPU did not do what was asked, or members were not sent to it; target, digest, code and words",
    "push_confirmed": "a push was confirmed; target, digest, whose key (as allowed signers name it)",
    "push_reviewed": "a break-glass push was reviewed; target, digest, who, as the DPU's allowed signers name them",
    "push_rolled_back": "what ran before was put back; target, digest, why",
    "push_reconciled": "members were sent to a DPU; target, digest, whether proven, who came and went, contested ones and why",
    "push_drifted": "the rules of a DPU were found changed; target, since when, which rules",
    "log_recovered": "the last line of this log was torn (a crash, a full disk): its bytes and their SHA-256",
    "head_signed": "the log's head was signed; sequence number, hash, Merkle root and signer",
    "head_anchored": "the log's head was written down elsewhere; sequence number, hash, Merkle root and where",
}
