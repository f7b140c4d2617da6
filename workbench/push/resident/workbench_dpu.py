#!/usr/bin/env python3
"""workbench-dpu: the workbench's resident on a DPU. One file, Python 3.8 and its standard library, nothing else.

It is given signed rules, checks them against the DPU's own allowed signers, applies them at once or not at all, and puts back
what ran before unless somebody who may confirms in time. Whoever pushes can die at any moment; so can this, at any line.

    workbench_dpu.py serve FOLDER     answer requests on stdin and stdout until they end (an ssh forced command)
    workbench_dpu.py watch FOLDER     the daemon: deadlines, expiry, leases, restarts of the switch

The folder (root's, 0700) has config.json and allowed_signers, written when the DPU was enrolled; state.json, always written
whole and renamed; bundles/, by digest; old.rules, what ran before a push that waits for its confirmation; applied.rules, what
the dataplane said after the last change. docs/push.md has the protocol, the bundle and what each fault leads to.

Reading order for an audit: frames, signatures, the bundle, the dataplane, the state, what is asked, the daemon. Two things hold
everywhere. Only `_load` changes the dataplane, in one transaction. Whatever `_load` is about to do was on the disk before.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, Iterator, List, Optional, Set, Tuple

PROTOCOL = 2
VERSION = "1"
#: Of a frame: its first bytes, and what one may hold at most.
MAGIC = b"WBD1"
MOST = 24 << 20
#: What is signed says in which sense, so that a signature can't be used for anything else.
POLICY, APPROVAL, CONFIRM, MEMBERS = "dpu-policy", "dpu-approval", "dpu-confirm", "dpu-members"
#: Ours on a bridge: the upper half of the cookie. In netfilter: one table.
OURS = 0x57424331
TABLE = "workbench_policy"
#: The number of the collectors that packets of rules are told to.
SAMPLES = 0x5742
_OVS_OURS = "cookie=0x%08x00000000/0xffffffff00000000" % OURS
_REMOVE = {"ovs": "delete %s\n" % _OVS_OURS, "nft": "add table inet %s\ndelete table inet %s\n" % (TABLE, TABLE)}
#: Our tables on a bridge, and where the hook is in table 0.
_OUR_TABLES = frozenset(range(200, 218))
_HOOK = 65535
#: A flow as the compiler writes one, and nothing else: no comment, no second cookie or action, none that makes flows or outputs.
#: What a command would read of a line beyond this form is never asked.
_TO = r"resubmit\(,(?:0|20[0-9]|21[0-7])\)"
_HEX_NUMBER = r"0x[0-9a-f]{1,16}"
_ASKS = (
    r"(?:ip|ipv6|tcp6?|udp6?|sctp6?|icmp6?|dl_type=0x(?:8100|88a8)"
    r"|(?:nw_src|nw_dst|ipv6_src|ipv6_dst)=(?:[0-9a-f.:]{2,45}(?:/[0-9]{1,3})?|@\{[A-Za-z][A-Za-z0-9_.-]{0,62}/[46]!?\})"
    r"|(?:nw_proto|icmp_type|conj_id)=[0-9]{1,10}|tp_(?:src|dst)=(?:[0-9]{1,5}|0x[0-9a-f]{1,4}/0x[0-9a-f]{1,4})"
    r"|ct_state=(?:[+-](?:new|est|rel|rpl|inv|trk)){1,6}|tcp_flags=-syn|ct_label="
    + _HEX_NUMBER
    + "|reg15="
    + _HEX_NUMBER
    + r"(?:/"
    + _HEX_NUMBER
    + "|))"
)
_DOES = (
    r"(?:drop|ct_clear|" + _TO + r"|conjunction\([0-9]{1,10},[1-3]/[23]\)|set_field:" + _HEX_NUMBER + r"->reg15"
    r"|ct\(table=(?:20[0-9]|21[0-7]),zone=[0-9]{1,5}\)|ct\(commit,zone=[0-9]{1,5},exec\(set_field:"
    + _HEX_NUMBER
    + r"->ct_label\)\)"
    r"|sample\(probability=[0-9]{1,5},collector_set_id=[0-9]{1,10},obs_domain_id=[0-9]{1,10},obs_point_id=[0-9]{1,10}\))"
)
_FLOW = re.compile(
    r"cookie=0x%08x[0-9a-f]{8},(?:table=0,priority=%d,reg15=0,actions=resubmit\(,200\)" % (OURS, _HOOK)
    + r"|table=(?:20[0-9]|21[0-7]),priority=[0-9]{1,5},(?:"
    + _ASKS
    + ",)*actions="
    + _DOES
    + "(?:,"
    + _DOES
    + ")*)"
)
#: The words and names of our table in netfilter: a rule that changes, sends or queues a packet can't be written with them.
_NFT_HEAD = re.compile(r"(?:(?:add|delete) )?table inet %s|table inet %s \{" % (TABLE, TABLE))
_NFT_WORDS = frozenset(
    re.findall(
        r"\S+",
        """chain type filter hook forward input output priority policy accept drop return goto jump reject with tcp reset icmpx
        admin-prohibited counter comment limit rate burst packets log prefix ct state vmap direction invalid established related
        new original reply meta nfproto ipv4 ipv6 l4proto ip ip6 saddr daddr icmp icmpv6 udp sctp dccp udplite dport sport flags
        & syn == != = : interval elements ipv4_addr ipv6_addr rejected entry""",
    )
)
_NFT_NAME = re.compile(
    r"@?a[0-9]{1,9}|(?:judge|reply|going)[0-9]{1,9}|on_(?:forward|input|output)|(?=.*[0-9:])[0-9a-f.:/-]{1,80}|[0-9]{1,6}/second"
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/mellanox/doca/tools"
#: Seconds: what one command may take, one request, an idle connection; between full comparisons with what was applied.
_PATIENCE, _REQUEST, _IDLE, _COMPARE = 30, 180, 900, 10.0
#: A file that is given up so that the state can still be written on a full disk.
_RESERVE = 256 << 10
_KEPT = 50
#: Of rules with their members: lines and bytes at most. Of JSON: depth, values and digits, of anything before it is verified.
_MOST_LINES, _MOST_TEXT = 300_000, 128 << 20
_DEEPEST, _MOST_VALUES, _LONGEST_NUMBER = 32, 1_000_000, 32
#: How far above the last number the next one may be.
_LEAP = 1_000_000
#: Bytes of memory for a request, and seconds after which a daemon that saw nothing in order is none.
_MEMORY, _FRESH = 2 << 30, 60.0


class Refused(Exception):
    """What is asked is not done. code: stable, one per cause (docs/push.md)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


# -- frames ---------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """The one way a value is written: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def read_frame(stream: BinaryIO) -> Optional[Dict[str, Any]]:
    """One request or answer; None where the stream ends between two. Refused(`malformed`) for anything that is none."""
    head = _exactly(stream, 8)
    if not head:
        return None
    if len(head) < 8 or head[:4] != MAGIC:
        raise Refused("malformed", "this is no frame of the protocol")
    (size,) = struct.unpack(">I", head[4:])
    if size > MOST:
        raise Refused("malformed", "a frame of %d bytes is too large" % size)
    body = _exactly(stream, size)
    if len(body) < size:
        raise Refused("malformed", "the frame ends early")
    return parse_object(body, "malformed", "the frame")


def write_frame(stream: BinaryIO, value: Dict[str, Any]) -> None:
    """Send one."""
    body = canonical(value)
    if len(body) > MOST:
        raise Refused("too-large", "an answer or request of %d bytes is more than a frame holds" % len(body))
    stream.write(MAGIC + struct.pack(">I", len(body)) + body)
    stream.flush()


def parse_object(data: bytes, code: str, what: str) -> Dict[str, Any]:
    """A JSON object without doubled keys; Refused otherwise."""
    try:
        _bounded(data)
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError, MemoryError):
        raise Refused(code, what + " is no JSON of ours") from None
    if not isinstance(value, dict):
        raise Refused(code, what + " is no JSON object")
    return value


def _bounded(data: bytes) -> None:
    """ValueError for JSON that would cost much more than its bytes: so deep, so many values, numbers so long."""
    bare = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    if bare.count(b'"') > 2 * _MOST_VALUES:
        raise ValueError("too many texts")
    bare = b"".join(bare.split(b'"')[::2])
    if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > _MOST_VALUES:
        raise ValueError("too many values")
    if re.search(rb"[-+.0-9eE]{%d}" % (_LONGEST_NUMBER + 1), bare):
        raise ValueError("a number is too long")
    depth = 0
    for one in re.findall(rb"[\[\]{}]", bare):
        depth += 1 if one in b"[{" else -1
        if depth > _DEEPEST:
            raise ValueError("too deep")


def _no_twins(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, fewer only where the stream ends."""
    parts = []
    while size:
        part = stream.read(min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# -- signatures -----------------------------------------------------------------------------------


def read_signature(armoured: str) -> Tuple[str, str, str]:
    """Fingerprint, key type and namespace of an SSH signature (OpenSSH, PROTOCOL.sshsig), which is not verified by this."""
    found = re.fullmatch(r"\s*-----BEGIN SSH SIGNATURE-----([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*", armoured)
    if found is None:
        raise Refused("bad-signature", "the signature is no SSH signature")
    try:
        blob = base64.b64decode("".join(found.group(1).split()), validate=True)
        if blob[:6] != b"SSHSIG" or blob[6:10] != b"\0\0\0\1":
            raise ValueError("no SSHSIG of version 1")
        key, rest = _string(blob[10:])
        namespace, _ = _string(rest)
        kind, _ = _string(key)
        return fingerprint(key), kind.decode("ascii"), namespace.decode("utf-8")
    except (ValueError, struct.error, binascii.Error):
        raise Refused("bad-signature", "the signature is damaged") from None


def fingerprint(key: bytes) -> str:
    """Of a public key's blob, as ssh-keygen shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode("ascii").rstrip("=")


def _string(data: bytes) -> Tuple[bytes, bytes]:
    (size,) = struct.unpack(">I", data[:4])
    if size > len(data) - 4:
        raise ValueError("a string ends early")
    return data[4 : 4 + size], data[4 + size :]


def read_signers(text: str) -> Dict[str, str]:
    """Fingerprint to principal. Stricter than ssh-keygen(1): one plain name a line, each key once, no authorities.

    Otherwise one key could speak for two people, or one person with one key be signer and approver.
    """
    found: Dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        parts = re.fullmatch(r"(\S+)\s+(?:(\S+)\s+)?((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+)\s+([A-Za-z0-9+/=]+)(?:\s.*)?", line)
        if parts is None:
            raise Refused("signers", "line %d of allowed_signers can't be read" % number)
        principal, options, kind, key = parts.groups()
        if re.search(r"[*?!,\"']", principal) or "-cert-" in kind or "cert-authority" in (options or "").lower():
            raise Refused("signers", "line %d of allowed_signers: one plain name and one plain key are needed" % number)
        if not re.search(r'(?:^|,)namespaces="[a-z0-9,-]+"', options or ""):  # without it a key may sign for everything
            raise Refused("signers", 'line %d of allowed_signers does not say what for: namespaces="..."' % number)
        try:
            mark = fingerprint(base64.b64decode(key, validate=True))
        except (ValueError, binascii.Error):
            raise Refused("signers", "line %d of allowed_signers has a damaged key" % number) from None
        if mark in found:
            raise Refused("signers", "line %d of allowed_signers has a key that stands there already" % number)
        found[mark] = principal
    return found


def verify(folder: Path, message: bytes, armoured: Any, namespace: str) -> Tuple[str, str]:
    """Who signed the message: principal and fingerprint. Refused with a code of its own for each way in which nobody did."""
    if not armoured:
        raise Refused("unsigned", "there is no signature for %s" % namespace)
    if not isinstance(armoured, str) or len(armoured) > 65536:
        raise Refused("bad-signature", "the signature is none")
    mark, kind, meant = read_signature(armoured)
    if meant != namespace:
        raise Refused("wrong-namespace", "the signature is for %r, not for %s" % (meant[:60], namespace))
    if "-cert-" in kind:
        raise Refused("bad-signature", "signatures with certificates are not taken")
    signers = folder / "allowed_signers"
    principal = read_signers(signers.read_text("utf-8")).get(mark)
    if principal is None:
        raise Refused("unknown-signer", "this DPU does not know the key %s" % mark)
    with _in_memory(armoured) as (held, number):
        words = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", principal, "-n", namespace, "-s", held]
        done = _run(words, message, keep=(number,))
    if done.returncode:
        if "namespace" in _words(done.stdout + done.stderr) or not _allowed(signers, principal, namespace):
            raise Refused("wrong-namespace", "%s may not sign for %s here" % (principal, namespace))
        raise Refused("altered", "the signature of %s does not hold for what was sent" % principal)
    return principal, mark


def _allowed(signers: Path, principal: str, namespace: str) -> bool:
    """Whether a name's line allows the namespace, to tell the two ways of failing apart; ssh-keygen has the say."""
    for line in signers.read_text("utf-8").splitlines():
        if line.split()[:1] == [principal]:
            found = re.search(r'namespaces="([^"]*)"', line)
            if found is None or namespace in found.group(1).split(","):
                return True
    return False


# -- the bundle -----------------------------------------------------------------------------------

_HEX = re.compile(r"[0-9a-f]{64}")
_SET = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_MARKER = re.compile(r"@\{([A-Za-z][A-Za-z0-9_.-]{0,62})/([46])(!?)\}")
_BUNDLE: Dict[str, Callable[[Any], bool]] = {
    "version": lambda v: _whole(v, 1) and v == 1,
    "kind": lambda v: v == "workbench-dpu-bundle",
    "target": lambda v: _text(v, 64),
    "dpu": lambda v: _text(v, 64),
    "dataplane": lambda v: v in ("ovs", "nft"),
    "bridge": lambda v: isinstance(v, str) and len(v) <= 15,
    "sequence": lambda v: _whole(v, 1),
    "previous": lambda v: isinstance(v, str) and bool(_HEX.fullmatch(v)),
    "expiry": lambda v: _whole(v, 1),
    "window": lambda v: _whole(v, 1),
    "author": lambda v: _text(v, 200),
    "policy": lambda v: (
        isinstance(v, dict) and set(v) == {"name", "digest", "text"} and all(isinstance(x, str) for x in v.values())
    ),
    "test_report": lambda v: isinstance(v, dict),
    "rules": lambda v: isinstance(v, list) and 0 < len(v) <= 64 and all(_stage(x) for x in v),
    "adopt": lambda v: isinstance(v, str),
    "adopt_seconds": lambda v: _whole(v, 0) and v <= 30,
    "ids": lambda v: isinstance(v, dict) and all(isinstance(x, str) for x in v.values()),
    "sets": lambda v: isinstance(v, dict) and all(_SET.fullmatch(k) and _set(x) for k, x in v.items()),
    "break_glass": lambda v: isinstance(v, str) and len(v) <= 1000,
    "lapses": lambda v: v is None or _whole(v, 1),
}


def _text(value: Any, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 1 << 53


def _stage(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"until", "text", "digest"}
        and (value["until"] is None or _whole(value["until"], 1))
        and isinstance(value["text"], str)
        and isinstance(value["digest"], str)
    )


def _set(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"selector", "source", "bound", "members", "lease"}
        and isinstance(value["selector"], str)
        and isinstance(value["source"], str)
        and _prefixes(value["bound"])
        and _prefixes(value["members"])
        and _whole(value["lease"], 0)
    )


def _prefixes(value: Any) -> bool:
    if not isinstance(value, list) or len(value) > 65536:
        return False
    try:
        return all(isinstance(one, str) and str(ipaddress.ip_network(one)) == one for one in value)
    except ValueError:
        return False


def parse_bundle(text: Any) -> Dict[str, Any]:
    """A bundle as it was signed: canonical, every field there and of its kind, its digests right. Refused otherwise."""
    if not isinstance(text, str):
        raise Refused("malformed", "there is no bundle")
    data = text.encode("utf-8", "surrogatepass")
    bundle = parse_object(data, "malformed", "the bundle")
    if canonical(bundle) != data:
        raise Refused("malformed", "the bundle is not in its canonical form")
    for name in sorted(set(bundle) ^ set(_BUNDLE)):
        raise Refused("malformed", "the bundle has %s field %s" % ("an unknown" if name in bundle else "no", name[:60]))
    for name, fits in _BUNDLE.items():
        if not fits(bundle[name]):
            raise Refused("malformed", "the bundle's %s is not what it must be" % name)
    if digest(bundle["policy"]["text"].encode("utf-8")) != bundle["policy"]["digest"]:
        raise Refused("altered", "the policy is not the one of its digest")
    untils = [stage["until"] for stage in bundle["rules"]]
    if untils[-1] is not None or None in untils[:-1] or sorted(untils[:-1]) != untils[:-1]:
        raise Refused("malformed", "the bundle's rules are not one after the other")
    for stage in bundle["rules"]:
        if digest(stage["text"].encode("utf-8")) != stage["digest"]:
            raise Refused("altered", "the rules are not those of their digest")
        check_ours(bundle["dataplane"], stage["text"], set(bundle["sets"]))
        expand(stage["text"], {name: one["members"] for name, one in bundle["sets"].items()}, False)
    check_ours(bundle["dataplane"], bundle["adopt"], set())
    return bundle


def check_ours(dataplane: str, text: str, sets: Any) -> None:
    """Refused(`not-ours`) where a line of the rules could touch what isn't ours, whoever signed it."""
    if any(found.group(1) not in sets for found in _MARKER.finditer(text)):
        raise Refused("not-ours", "the rules name a set that the bundle does not have")
    (_check_ovs if dataplane == "ovs" else _check_nft)(text)


def _check_ovs(text: str) -> None:
    """Each line is the deletion of ours, or a flow as the compiler writes one, to the letter."""
    for number, line in enumerate(text.split("\n"), 1):
        if line and line != "delete " + _OVS_OURS and not _FLOW.fullmatch(line):
            raise Refused("not-ours", "line %d of the rules is no flow of ours" % number)


def _check_nft(text: str) -> None:
    """At the outermost level our table alone, one statement a line; within it the words that the compiler has, and no others."""
    depth = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = re.sub(r'"[^"]*"', '""', raw).strip(" \t")
        if re.search(r"[^\x20-\x7e\t]", raw) or re.search(r"[#\\$`]", line) or '"' in line.replace('""', ""):
            raise Refused("not-ours", "line %d of the rules is not taken" % number)
        if depth == 0 and line and not _NFT_HEAD.fullmatch(line):
            raise Refused("not-ours", "line %d of the rules names more than our table" % number)
        if depth and not _nft_line(line):
            raise Refused("not-ours", "line %d of the rules has a word that none of ours has" % number)
        for place, letter in enumerate(line):
            depth += {"{": 1, "}": -1}.get(letter, 0)
            if depth < 0 or (letter == "}" and depth == 0 and line[place + 1 :].strip("; ")):
                raise Refused("not-ours", "line %d of the rules goes on behind our table" % number)
    if depth:
        raise Refused("not-ours", "the rules end within a block")


def _nft_line(line: str) -> bool:
    """Whether a line within our table is of its words alone; `set` only begins one."""
    line = re.sub(r"^set (?=a[0-9])", "", _MARKER.sub("0", line.replace('""', "")))
    return all(one in _NFT_WORDS or _NFT_NAME.fullmatch(one) for one in re.split(r"[\s{};,]+", line) if one)


def expand(text: str, members: Dict[str, List[str]], lapsed: bool) -> str:
    """The rules with members in place of markers: a line is repeated for each of `@{SET/4}` or `@{SET/6}`, all by all.

    lapsed: the lease is over; lines that allow (`@{SET/4!}`) have no members then, those that deny keep them.
    """
    out: List[str] = []
    counted = size = 0
    for line in text.splitlines(True):
        lines, times = [line], 1
        found = []
        for name, family, allows in sorted(set(_MARKER.findall(line))):
            here = [] if lapsed and allows else [one for one in members.get(name, []) if (":" in one) == (family == "6")]
            found.append(("@{%s/%s%s}" % (name, family, allows), here))
            times *= len(here)
        counted, size = counted + times, size + times * len(line)
        if counted > _MOST_LINES or size > _MOST_TEXT:  # before any of them is made
            raise Refused(
                "too-large", "with their members the rules are more than %d lines or %d bytes" % (_MOST_LINES, _MOST_TEXT)
            )
        for marker, here in found if times else ():
            lines = [one.replace(marker, member) for one in lines for member in here]
        out.extend(lines if times else ())
    return "".join(out)


# -- the dataplane --------------------------------------------------------------------------------


def _run(
    words: List[str], given: bytes = b"", environment: Optional[Dict[str, str]] = None, keep: Tuple[int, ...] = ()
) -> "subprocess.CompletedProcess[bytes]":
    """A command to its end, from a fixed list of words and an environment of our own. Refused(`dataplane`) where it hangs."""
    env = {"PATH": _PATH, "LC_ALL": "C", "HOME": "/root"}
    env.update(environment or {})
    try:
        return subprocess.run(  # noqa: S603
            words,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=_PATIENCE,
            env=env,
            pass_fds=keep,
        )
    except subprocess.TimeoutExpired:
        raise Refused("dataplane", "%s took more than %d s" % (words[0], _PATIENCE)) from None
    except OSError as error:
        raise Refused("dataplane", "%s can't be run: %s" % (words[0], os.strerror(error.errno or 0))) from None


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[Tuple[str, int]]:
    """The path of a file for a command to read, and the descriptor to be kept for it; it needs no disk."""
    number = os.memfd_create("workbench-dpu")
    try:
        with os.fdopen(os.dup(number), "wb") as out:
            out.write(text.encode("utf-8"))
        yield "/proc/self/fd/%d" % number, number
    finally:
        os.close(number)


def _words(said: bytes) -> str:
    """The last line of what a command said, made harmless."""
    lines = [line.strip() for line in said[-4096:].decode("utf-8", "replace").splitlines() if line.strip()]
    return re.sub(r"[^\x20-\x7e]", "?", lines[-1])[:300] if lines else "it does not say why"


class Dataplane:
    """Ours on one bridge, or our table in netfilter. Whatever goes wrong is Refused(`dataplane`)."""

    def __init__(self, config: Dict[str, Any]) -> None:
        self.kind: str = config["dataplane"]
        self.bridge: str = config["bridge"]
        self.environment = {"OVS_RUNDIR": config["rundir"]} if config.get("rundir") else {}
        self.keep: Tuple[int, ...] = ()  # the lock: who is left behind by a killed resident still has it, until it ends
        self.remembers = ""  # why the switch may go by what it remembers of older rules, for a while

    def load(self, text: str) -> None:
        """All of it in one transaction, or nothing; then nothing goes by older rules, as far as the switch can be told to."""
        self.remembers = ""
        if self.restoring():
            raise Refused("restoring", "the switch waits for its flows to be restored (flow-restore-wait): nothing is done")
        with _in_memory(text) as (held, number):  # whole, whatever becomes of us: a pipe that breaks would end a text early
            if self.kind == "ovs":
                self._do(["ovs-ofctl", "--timeout=25", "--bundle", "add-flows", self.bridge, held], (number,))
            else:
                self._do(["nft", "-f", held], (number,))
        if self.kind == "ovs":
            try:  # of all bridges: first packets of every flow are looked up anew
                self._do(["ovs-appctl", "--timeout=25", "revalidator/purge"])
            except Refused as error:
                self.remembers = error.message

    def restoring(self) -> bool:
        """Whether somebody restores the switch's flows and has told it to wait (ovs-ctl does): none is to meddle then."""
        if self.kind != "ovs":
            return False
        asked = ["ovs-vsctl", "--timeout=10", "--if-exists", "get", "Open_vSwitch", ".", "other_config:flow-restore-wait"]
        with contextlib.suppress(Refused):
            return self._do(asked).strip().strip('"').lower() == "true"
        return False

    def running(self) -> str:
        """What runs of ours, as text that is the same whenever the rules are, and that `load` takes behind `_REMOVE`."""
        if self.kind == "ovs":
            said = self._do(["ovs-ofctl", "--timeout=25", "--no-stats", "--no-names", "dump-flows", self.bridge, _OVS_OURS])
            lines = [line.strip() for line in said.splitlines() if "cookie=" in line]
            return "".join(line + "\n" for line in sorted(lines))
        done = _run(["nft", "-s", "list", "table", "inet", TABLE], b"", self.environment, self.keep)
        if done.returncode:
            if b"No such file" in done.stderr:
                return ""
            raise Refused("dataplane", "nft: " + _words(done.stderr))
        return done.stdout.decode("utf-8", "replace")

    def told(self) -> str:
        """What the workbench proves: our flows, and where others' are that could be in the way of them; our table as JSON."""
        if self.kind == "ovs":
            lines: Dict[str, None] = {}  # in order, each once: a bridge may have a million flows of others
            for table, priority, cookie, line in self._flows():
                if cookie >> 32 == OURS:
                    lines[line] = None
                elif table in _OUR_TABLES or table == 0:
                    lines["cookie=%#x, table=%d, priority=%d actions=" % (cookie, table, priority)] = None
            return "".join(line + "\n" for line in lines)
        return "" if self.emptied() else self._do(["nft", "-j", "list", "table", "inet", TABLE])

    def occupied(self) -> str:
        """A flow of somebody else where ours go, which loading could replace; '' where there is none."""
        if self.kind != "ovs":
            return ""
        for table, priority, cookie, _ in self._flows():
            if cookie >> 32 != OURS and (table in _OUR_TABLES or (table == 0 and priority >= _HOOK)):
                return "a flow of somebody else is in table %d at priority %d (cookie %#x)" % (table, priority, cookie)
        return ""

    def owner(self) -> str:
        """Who else has the say on the bridge; '' for nobody."""
        return owner(self.bridge, self._do) if self.kind == "ovs" else ""

    def _flows(self) -> Iterator[Tuple[int, int, int, str]]:
        """Of all flows of the bridge: table, priority, cookie and the whole line."""
        said = self._do(["ovs-ofctl", "--timeout=25", "--no-stats", "--no-names", "dump-flows", self.bridge])
        for raw in said.splitlines():
            head = raw.partition("actions=")[0]
            cookie = re.search(r"\bcookie=0x([0-9a-f]+)", head)
            if cookie:
                table, priority = (re.search(r"[ ,]%s=([0-9]+)" % word, head) for word in ("table", "priority"))
                yield int(table[1]) if table else 0, int(priority[1]) if priority else 32768, int(cookie[1], 16), raw.strip()

    def emptied(self) -> bool:
        """Whether nothing of ours is left; cheap."""
        if self.kind == "ovs":
            said = self._do(["ovs-ofctl", "--timeout=25", "dump-aggregate", self.bridge, _OVS_OURS])
            return "flow_count=0" in said.split()
        return b"inet %s\n" % TABLE.encode() not in self._do(["nft", "list", "tables"]).encode() + b"\n"

    def missing(self, text: str) -> List[str]:
        """Matches of ours that are not as in `text`, the switch's own comparison; actions are for the workbench's proof."""
        if self.kind != "ovs":
            return []
        wanted = "".join(line + "\n" for line in text.splitlines() if "cookie=" in line and not line.startswith("delete"))
        with _in_memory(wanted) as (held, number):
            words = ["ovs-ofctl", "--timeout=25", "diff-flows", self.bridge, held]
            done = _run(words, b"", self.environment, (number, *self.keep))
        if done.returncode not in (0, 2):
            raise Refused("dataplane", "ovs-ofctl: " + _words(done.stderr))
        sides: Dict[str, Set[str]] = {"-": set(), "+": set()}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            if line[:1] in sides and "cookie=0x%08x" % OURS in line:
                sides[line[0]].add(line[1:].split(" actions=")[0])
        return sorted(sides["-"] ^ sides["+"])

    def tells(self) -> bool:
        """Whether the switch knows collectors for what rules sample: enrolling makes that row, and not this program."""
        if self.kind != "ovs":
            return False
        asked = ["ovs-vsctl", "--timeout=10"]
        bridge = self._do([*asked, "get", "Bridge", self.bridge, "_uuid"]).strip()
        row = ["find", "Flow_Sample_Collector_Set", "id=%d" % SAMPLES, "bridge=" + bridge]
        return bool(self._do([*asked, "--bare", "--columns=_uuid", *row]).strip())

    def counters(self) -> Dict[str, List[int]]:
        """Packets and bytes by rule: the lower half of the cookie in decimal, or the rule's comment."""
        found: Dict[str, List[int]] = {}
        if self.kind == "ovs":
            said = self._do(["ovs-ofctl", "--timeout=25", "--no-names", "dump-flows", self.bridge, _OVS_OURS])
            form = r"cookie=0x%08x([0-9a-f]{8}),.*?n_packets=(\d+), n_bytes=(\d+)" % OURS
            rows = [(str(int(one[0], 16)), one[1], one[2]) for one in re.findall(form, said)]
        elif self.emptied():
            rows = []
        else:
            said = self._do(["nft", "list", "table", "inet", TABLE])
            form = r'counter packets (\d+) bytes (\d+)[^\n]*?comment "([^"\n]*)"'
            rows = [(one[2], one[0], one[1]) for one in re.findall(form, said)]
        for name, packets, size in rows:
            before = found.setdefault(name, [0, 0])
            found[name] = [before[0] + int(packets), before[1] + int(size)]
        return found

    def _do(self, words: List[str], keep: Tuple[int, ...] = ()) -> str:
        done = _run(words, b"", self.environment, (*keep, *self.keep))
        if done.returncode:
            raise Refused("dataplane", "%s: %s" % (words[0], _words(done.stderr)))
        return done.stdout.decode("utf-8", "replace")


def owner(bridge: str, run: Callable[[List[str]], str]) -> str:
    """Who else has the say on a bridge: `controller`, `ovn`, `controller and ovn`, or ''. They end flows of others at will."""
    words = ["ovs-vsctl", "--timeout=10", "get-controller", bridge]
    found = ["controller"] if run(words).strip() else []
    words = ["ovs-vsctl", "--timeout=10", "get", "Bridge", bridge, "external_ids"]
    for name in ("ovn-remote", "ovn-bridge"):
        words += ["--", "--if-exists", "get", "Open_vSwitch", ".", "external_ids:" + name]
    ids, remote, integration = (run(words) + "\n\n\n").split("\n")[:3]  # a blank line for what isn't set
    ours = bridge == (integration.strip().strip('"') or "br-int") and bool(remote.strip() or integration.strip())
    if ours or re.search(r'[{ ]"?(?:ovn-|ct-zone-)', ids):
        found.append("ovn")
    return " and ".join(found)


# -- time -----------------------------------------------------------------------------------------


def boot_id() -> str:
    """Another one after every start of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def boottime() -> float:
    """Seconds since the machine started, sleep included; nobody can set it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


# -- the state ------------------------------------------------------------------------------------

_EMPTY: Dict[str, Any] = {
    "version": 1, "sequence": 0, "members_sequence": 0, "confirmed": None, "before": None, "pending": None,
    "going": None, "applied": None, "drift": None, "down": None, "alerts": [], "gaps": [], "last": None, "clock": None,
    "unreviewed": [], "place": None,
}  # fmt: skip
#: What a state of an earlier resident may lack.
_SINCE: Dict[str, Any] = {"unreviewed": [], "place": None}


class Resident:
    """What lives in one folder. Every change happens under the lock (`held`)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = parse_object((folder / "config.json").read_bytes(), "config", "config.json")
        self.dataplane = Dataplane(self.config)
        self._bundles: Dict[str, Dict[str, Any]] = {}
        self.state = self._read_state()

    # files

    def _read_state(self) -> Dict[str, Any]:
        """The state; Refused(`state`) where it can't be read: better no push than one that forgets a deadline."""
        try:
            data = (self.folder / "state.json").read_bytes()
        except FileNotFoundError:
            return dict(_EMPTY)
        state = parse_object(data, "state", "state.json")
        state = dict(_SINCE, **state) if state else state
        if set(state) != set(_EMPTY):
            raise Refused("state", "state.json is of another version of the resident")
        return state

    def save(self) -> None:
        """The state on the disk: whole, or as it was. On a full disk the reserve is given up for it."""
        data = canonical(self.state)
        try:
            self.write("state.json", data)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not (self.folder / "reserve").exists():
                raise
            (self.folder / "reserve").unlink()
            self.write("state.json", data)

    def write(self, name: str, data: bytes) -> None:
        """A file that is there whole or not at all, also after a power cut."""
        path = self.folder / name
        fresh = path.with_name(path.name + ".new")
        try:
            fd = os.open(str(fresh), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        os.replace(str(fresh), str(path))  # noqa: PTH105
        _sync(path.parent)

    def keep_reserve(self) -> None:
        """Bytes that are given up when the disk is full (made anew once there is room)."""
        if not (self.folder / "reserve").exists():
            with contextlib.suppress(OSError):
                self.write("reserve", b"\xa5" * _RESERVE)

    @contextlib.contextmanager
    def held(self, patience: float = 5.0) -> Iterator[None]:
        """The lock, and the state as it is now. Refused(`busy`) where somebody else has it for longer."""
        fd = os.open(str(self.folder / "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        until = time.monotonic() + patience
        try:
            while True:
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() >= until:
                        raise Refused("busy", "another request is being carried out") from None
                    time.sleep(0.05)
            self.dataplane.keep = (fd,)
            self.state = self._read_state()
            yield
        finally:
            self.dataplane.keep = ()
            os.close(fd)

    def bundle_of(self, mark: str) -> Dict[str, Any]:
        """A bundle that was taken earlier; read and checked once by each process."""
        if mark in self._bundles:
            return self._bundles[mark]
        try:
            text = (self.folder / "bundles" / (mark + ".json")).read_text("utf-8")
        except (OSError, ValueError):
            raise Refused("state", "the bundle %s can't be read from the disk" % mark[:12]) from None
        if digest(text.encode("utf-8")) != mark:
            raise Refused("state", "the bundle %s is damaged on the disk" % mark[:12])
        self._bundles = {mark: parse_bundle(text)}
        return self._bundles[mark]

    # time

    def now(self) -> int:
        """Seconds since 1970 that neither go back nor jump: the wall clock once a boot, counted on from there.

        Where the wall clock is behind what was seen before (no battery), time goes on from there until it has been set.
        """
        clock = self.state["clock"] or {"boot": "", "wall": 0.0, "at": 0.0, "latest": float(self.config["enrolled"])}
        wall, at = time.time(), boottime()
        here = clock["wall"] + at - clock["at"]
        if clock["boot"] != boot_id():
            here = max(wall, clock["latest"])
            clock = {"boot": boot_id(), "wall": here, "at": at, "latest": here, "sure": wall >= clock["latest"]}
        elif not clock["sure"] and wall > here:
            here = wall
            clock = {"boot": boot_id(), "wall": wall, "at": at, "latest": wall, "sure": True}
        clock["latest"] = max(clock["latest"], here)
        self.state["clock"] = clock
        return int(here)

    def alert(self, code: str, message: str) -> None:
        """Something a person must hear of; the newest are kept."""
        self.state["alerts"] = [*self.state["alerts"], {"at": self.now(), "code": code, "message": message}][-_KEPT:]

    # rules

    def wanted(self, record: Optional[Dict[str, Any]]) -> str:
        """The whole text that must run for a record: its stage by the time, its members by their lease."""
        remove = _REMOVE[self.dataplane.kind]
        if record is None:
            return remove
        bundle = self.bundle_of(record["digest"])
        self._belongs(bundle)
        now = self.now()
        stage = next(one for one in bundle["rules"] if one["until"] is None or now < one["until"])
        members = record["members"]["sets"]
        lapsed = record["members"]["until"] is not None and now >= record["members"]["until"]
        text = expand(stage["text"], members, lapsed)
        if self.dataplane.kind == "ovs":  # the deletion is ours alone, and comes first
            text = "".join(line for line in text.splitlines(True) if "cookie=" in line and not line.startswith("delete"))
        return remove + text

    def _place(self) -> str:
        return ("%s %s" % (self.dataplane.kind, self.dataplane.bridge)).strip()

    def _stays(self) -> None:
        """Refused(`wrong-target`) where somebody changed the config: no way back leads to another bridge."""
        place, held = self.state["place"], any(self.state[name] for name in ("confirmed", "pending", "going"))
        if held and place not in (None, self._place()):
            raise Refused("wrong-target", "what was pushed here is for %s, and the config says %s" % (place, self._place()))

    def _belongs(self, bundle: Dict[str, Any]) -> None:
        """Refused(`wrong-target`): ports and tables of one bridge mean something else on another."""
        if bundle["dataplane"] != self.dataplane.kind or bundle["bridge"] != self.dataplane.bridge:
            raise Refused("wrong-target", "the bundle is for another dataplane or bridge")

    def put(self, text: str) -> None:
        """Load, read back, and remember what the dataplane then says."""
        self._load(text)
        self.noted(text)

    def _load(self, text: str) -> None:
        """The one way to the dataplane."""
        self.dataplane.load(text)
        if self.dataplane.remembers:
            self.alert("remembers", "the switch may go by older rules until flows are idle: " + self.dataplane.remembers)

    def noted(self, text: str) -> None:
        """What runs is this text: said by the dataplane, compared by later looks."""
        wrong = self.dataplane.missing(text)
        running = self.dataplane.running()
        if wrong:
            raise Refused("read-back", "the switch does not have what was loaded: %s" % wrong[0][:200])
        self.state["applied"] = {"text": digest(text.encode("utf-8")), "running": digest(running.encode("utf-8"))}
        self.state["drift"] = None
        with contextlib.suppress(OSError):  # only to name what drifted
            self.write("applied.rules", running.encode("utf-8"))

    # what runs by itself

    def tick(self, compare: bool = False) -> None:
        """Whatever is due: a deadline, expiry, a lapsed lease, rules that a restart took away. Under the lock."""
        self._stays()
        if self.state["going"]:
            try:
                self.arrive()
            except Exception:
                if self.state["going"]:
                    raise
        if self.state["pending"]:
            self._tick_pending(self.state["pending"])
            return
        confirmed, applied = self.state["confirmed"], self.state["applied"]
        if confirmed and confirmed["lapses"] is not None and self.now() >= confirmed["lapses"]:
            self.alert("lapsed", "the rules of %s were for a time that is over" % confirmed["digest"][:12])
            try:
                self.go(self.state["before"], None, "lapsed")
            except Exception:
                if self.state["going"]:
                    raise
                self.go(None, None, "lapsed")  # what ran before can't run: nothing of ours does
            return
        if applied is None:
            return
        text = self._again()
        if text is None:  # what runs stays, and is put back as it was read, as long as that is there
            if applied["running"] != digest(b"") and self.dataplane.emptied():
                self._as_read(applied)
            elif compare:
                self._compare(applied)
        elif applied["text"] != digest(text.encode("utf-8")):
            self.put(text)
            self.alert("expired", "rules or a lease have expired: the rules are those of what is left")
        elif applied["running"] != digest(b"") and self.dataplane.emptied():
            self.put(text)
            self.alert("restored", "the dataplane had lost the rules: they were applied again")
        elif compare:
            self._compare(applied)

    def _as_read(self, applied: Dict[str, Any]) -> None:
        """What the dataplane said after the last change, again."""
        with contextlib.suppress(OSError, ValueError):
            text = (self.folder / "applied.rules").read_text("utf-8")
            if digest(text.encode("utf-8")) == applied["running"]:
                self._load(_REMOVE[self.dataplane.kind] + text)
                self.alert("restored", "the dataplane had lost the rules: they were applied again as they were read")

    def _tick_pending(self, pending: Dict[str, Any]) -> None:
        if pending["boot"] != boot_id():
            self.roll_back("the DPU was started anew before the push was confirmed")
        elif pending["phase"] == "applying":  # its process is gone: we have the lock
            self.roll_back("the push was cut off while it was applied")
        elif boottime() >= pending["deadline"]:
            self.roll_back("the push was not confirmed in time")
        elif pending["filled"] and self.dataplane.emptied():
            self.roll_back("the dataplane lost its rules before the push was confirmed")

    def _compare(self, applied: Dict[str, Any]) -> None:
        running = digest(self.dataplane.running().encode("utf-8"))
        drift = self.state["drift"]
        if running == applied["running"]:
            if drift:
                self.alert("drift-over", "the rules are again those that were applied")
            self.state["drift"] = None
        elif drift is None or drift["running"] != running:
            self.state["drift"] = {"since": drift["since"] if drift else self.now(), "running": running}
            self.alert("drift", "the rules are not those that were applied: somebody changed them")

    def roll_back(self, why: str) -> None:
        """What ran before the push that waits, again; twice is as good as once."""
        pending = self.state["pending"]
        try:
            again = self._again() if pending["old"]["confirmed"] else None
            if again is not None:
                self.put(again)
            else:
                self._load(self._old(pending))
                self.state["applied"] = pending["old"]["applied"]
                with contextlib.suppress(OSError):
                    self.write("applied.rules", self.dataplane.running().encode("utf-8"))
        except Refused as error:
            if error.code != "read-back":
                raise
            self.alert(error.code, error.message)
        self.state["pending"] = None
        self.state["last"] = {"digest": pending["digest"], "outcome": "rolled back", "why": why, "at": self.now()}
        self.alert("rolled-back", why)
        self.save()

    def _old(self, pending: Dict[str, Any]) -> str:
        """What ran before the push, as it was read; what was confirmed where that is lost."""
        try:
            old = (self.folder / "old.rules").read_text("utf-8")
        except (OSError, ValueError):
            old = ""
        if digest(old.encode("utf-8")) != pending["old"]["digest"]:
            self.alert("state", "what ran before the push is damaged on the disk: what was confirmed runs")
            return self._again() or _REMOVE[self.dataplane.kind]  # nothing of ours, where nothing else is known
        return _REMOVE[self.dataplane.kind] + old

    def _again(self) -> Optional[str]:
        """What was confirmed, as it must run now; None, and an alert, where its bundle is lost or damaged."""
        try:
            return self.wanted(self.state["confirmed"])
        except Exception as error:  # whatever it is, rules that nobody confirmed must not stay for it
            message = "the confirmed bundle can't be used: %s" % error
            if not any(one["message"] == message for one in self.state["alerts"]):
                self.alert("state", message)
            return None

    def go(self, record: Optional[Dict[str, Any]], before: Optional[Dict[str, Any]], why: str) -> None:
        """To other rules that were confirmed already; first the way there is on the disk, for whoever has to finish it."""
        self.state["going"] = {"record": record, "before": before, "why": why}
        self.save()
        self.arrive()

    def arrive(self) -> None:
        """The rest of `go`."""
        going = self.state["going"]
        try:
            self.put(self.wanted(going["record"]))
        except Exception as error:
            if not self._away(error):  # else nothing could ever be asked again
                self.state["going"] = None
                self.alert("failed", "%s: given up: %s" % (going["why"], error))
                self.save()
                again = self._again()
                if again is not None:
                    with contextlib.suppress(Refused):
                        self.put(again)
                self.save()
            raise
        self.state["confirmed"], self.state["before"], self.state["going"] = going["record"], going["before"], None
        mark = going["record"]["digest"] if going["record"] else None
        self.state["last"] = {"digest": mark, "outcome": "went", "why": going["why"], "at": self.now()}
        self.save()
        self._forget_bundles()

    def _away(self, error: Exception) -> bool:
        """Whether it failed because the switch does not answer, so that waiting may help."""
        if not isinstance(error, Refused) or error.code == "restoring":
            return True if isinstance(error, Refused) else isinstance(error, OSError)
        try:
            self.dataplane.emptied()
        except Refused:
            return True
        return False

    def _forget_bundles(self) -> None:
        kept = {one["digest"] for one in (self.state["confirmed"], self.state["before"], self.state["pending"]) if one}
        for path in (self.folder / "bundles").glob("*.*"):
            if path.name.partition(".")[0] not in kept:
                with contextlib.suppress(OSError):
                    path.unlink()

    # what is asked

    def answer(self, ask: Dict[str, Any]) -> Dict[str, Any]:
        """One request, one answer."""
        protocol = ask.get("protocol")
        if protocol != PROTOCOL:
            raise Refused(
                "old-protocol", "this resident speaks protocol %d, not %s: enrol the DPU again" % (PROTOCOL, repr(protocol)[:20])
            )
        known = {
            "status": self.status,
            "apply": self.apply,
            "confirm": self.confirm,
            "rollback": self.rollback,
            "members": self.members,
            "review": self.review,
        }
        asked = known.get(str(ask.get("ask")))
        if asked is None:
            raise Refused("malformed", "nothing is called %s here" % repr(ask.get("ask"))[:60])
        if ask.get("ask") == "status":
            return asked(ask)
        with self.held():
            self.tick()
            return asked(ask)

    def apply(self, ask: Dict[str, Any]) -> Dict[str, Any]:
        """Signed rules, for a window; what runs afterwards, for the proof."""
        if not isinstance(ask.get("bundle"), str):
            raise Refused("malformed", "there is no bundle")
        data = ask["bundle"].encode("utf-8", "surrogatepass")
        signer, key = verify(self.folder, data, ask.get("signature"), POLICY)
        bundle = parse_bundle(ask["bundle"])  # only what somebody who may has signed is read
        window = self._fits(bundle, signer, ask.get("window"))
        approver = self._approver(bundle, data, ask.get("approval"), signer, key)
        if self.state["pending"]:
            raise Refused("busy", "a push waits for its confirmation: %s" % self.state["pending"]["digest"][:12])
        if not self.watched():
            raise Refused(
                "unguarded", "the daemon that would roll back does not run, or saw nothing in order of late: see status"
            )
        old = self.dataplane.running()
        if digest(old.encode("utf-8")) != bundle["previous"]:
            raise Refused("wrong-previous", "what runs here is not what the plan was made against: plan again")
        self._unowned()
        record = self._record(bundle, digest(data), signer, approver)
        self._arm(bundle, data, record, old, window, ask)
        try:
            return self._carry_out(bundle, record, not old)
        except Refused as error:
            self.roll_back("%s: %s" % (error.code, error.message))
            raise

    def _unowned(self) -> None:
        """Refused where flows of ours would be in somebody's way, or somebody who came after enrolment has the say there."""
        taken = self.dataplane.occupied()
        if taken:
            raise Refused("occupied", taken)
        owner = self._stranger()
        if owner:
            raise Refused("owned", "%s is run by another (%s), which can end our flows" % (self.dataplane.bridge, owner))

    def _stranger(self) -> str:
        """Who has the say on the bridge and had not when it was enrolled."""
        known = self.config.get("beside", "").split(" and ")
        return " and ".join(one for one in self.dataplane.owner().split(" and ") if one not in known)

    def _fits(self, bundle: Dict[str, Any], signer: str, window: Any) -> int:
        """The window in seconds, where the bundle may be applied here and now; Refused with the reason."""
        if bundle["author"] != signer:
            raise Refused("wrong-author", "the bundle says it is by %s and is signed by %s" % (bundle["author"][:60], signer))
        if bundle["target"] != self.config["target"]:
            raise Refused("wrong-target", "the bundle is for %s, this is %s" % (bundle["target"], self.config["target"]))
        if bundle["dpu"] != self.config["id"]:
            raise Refused(
                "wrong-target", "the bundle is for another DPU of this name, or was planned before this one was enrolled"
            )
        self._belongs(bundle)
        if self.now() >= bundle["expiry"]:
            raise Refused("expired", "the bundle was to be applied earlier: plan and sign again")
        _next(bundle["sequence"], self.state["sequence"])
        window = bundle["window"] if window is None else window
        if not _whole(window, 1) or window > bundle["window"] or window > self.config["longest_window"]:
            most = min(bundle["window"], self.config["longest_window"])
            raise Refused("window-too-long", "a push may wait %d s for its confirmation here" % most)
        if bundle["break_glass"]:
            longest = self.config["longest_break_glass"]
            if bundle["lapses"] is None or bundle["lapses"] > self.now() + longest:
                raise Refused("break-glass-too-long", "rules with one signature last %d s at most here" % longest)
            if len(self.state["unreviewed"]) >= _KEPT:
                raise Refused("unreviewed", "%d pushes with one signature wait for their review" % _KEPT)
        return int(window)

    def _approver(self, bundle: Dict[str, Any], data: bytes, approval: Any, signer: str, key: str) -> str:
        if bundle["break_glass"]:
            return ""
        if not approval:
            raise Refused("unapproved", "nobody has approved the bundle")
        approver, other = verify(self.folder, data, approval, APPROVAL)
        if other == key or approver == signer:
            raise Refused("self-approved", "%s has signed it and can't approve it" % signer)
        return approver

    def _record(self, bundle: Dict[str, Any], mark: str, signer: str, approver: str) -> Dict[str, Any]:
        """What the state says of a bundle."""
        leases = [one["lease"] for one in bundle["sets"].values() if one["lease"]]
        members = {name: one["members"] for name, one in bundle["sets"].items()}
        return {
            "digest": mark, "sequence": bundle["sequence"], "policy": bundle["policy"]["name"], "signer": signer,
            "approver": approver, "review": bool(bundle["break_glass"]), "lapses": bundle["lapses"], "at": self.now(),
            "members": {"sets": members, "until": self.now() + min(leases) if leases else None},
        }  # fmt: skip

    def _arm(
        self, bundle: Dict[str, Any], data: bytes, record: Dict[str, Any], old: str, window: int, ask: Dict[str, Any]
    ) -> None:
        """Old, new and the deadline on the disk, before anything is touched. Refused(`no-space`) where that can't be."""
        applied = self.state["applied"]
        try:
            (self.folder / "bundles").mkdir(mode=0o700, exist_ok=True)
            self.write("bundles/%s.json" % record["digest"], data)
            kept = {name: ask.get(name) for name in ("signature", "approval")}
            self.write("bundles/%s.signatures" % record["digest"], canonical(kept))
            self.write("old.rules", old.encode("utf-8"))
            self.keep_reserve()
            self.state["sequence"] = bundle["sequence"]
            self.state["place"] = self._place()
            if record["review"]:
                told = {name: record[name] for name in ("digest", "policy", "signer", "at")}
                self.state["unreviewed"] = [*self.state["unreviewed"], dict(told, why=bundle["break_glass"])]
            self.state["pending"] = {
                "digest": record["digest"], "record": record, "phase": "applying", "boot": boot_id(), "window": window,
                "deadline": boottime() + window + bundle["adopt_seconds"], "filled": True,
                "old": {
                    "digest": digest(old.encode("utf-8")), "applied": applied,
                    "confirmed": applied is not None and applied["running"] == digest(old.encode("utf-8")),
                },
            }  # fmt: skip
            self.save()
        except OSError as error:
            self.state = self._read_state()
            raise Refused("no-space", "the DPU's disk takes nothing: %s" % os.strerror(error.errno or 0)) from None

    def _carry_out(self, bundle: Dict[str, Any], record: Dict[str, Any], first: bool) -> Dict[str, Any]:
        if first and bundle["adopt"]:  # live connections become known before anything is judged
            self._load(_REMOVE[self.dataplane.kind] + _without_deletion(self.dataplane.kind, bundle["adopt"]))
            time.sleep(bundle["adopt_seconds"])
        self.put(self.wanted(record))
        running = self.dataplane.running()
        told = self.dataplane.told()
        if len(canonical({"text": told})) > MOST - 4096:  # as it is sent: nobody could prove it, so back at once, not at the end
            raise Refused("too-large", "what the dataplane says of the rules is more than a frame holds")
        pending = self.state["pending"]
        pending["phase"], pending["filled"] = "applied", bool(running)
        self.save()
        left = pending["deadline"] - boottime()
        return {
            "digest": record["digest"],
            "running": digest(running.encode("utf-8")),
            "text": told,
            "remaining": round(left, 1),
        }

    def confirm(self, ask: Dict[str, Any]) -> Dict[str, Any]:
        """The push that waits is kept. Signed; refused when its window is over."""
        mark = self._stated(ask, "workbench-dpu-confirm", CONFIRM)["bundle"]
        pending = self.state["pending"]
        if pending is None or pending["digest"] != mark:
            raise self._not_waiting(mark)
        if self.dataplane.emptied() and pending["filled"]:
            self.roll_back("the dataplane lost its rules before the push was confirmed")
            raise Refused("late", "the dataplane has lost the rules")
        if digest(self.dataplane.running().encode("utf-8")) != (self.state["applied"] or {}).get("running"):
            raise Refused("read-back", "what runs is not what was applied: somebody has changed it; roll back")
        confirmed = self.state["confirmed"]
        if confirmed and confirmed["lapses"] is not None:
            confirmed = self.state["before"]  # what was for a time is nothing to go back to
        self.state["confirmed"], self.state["before"], self.state["pending"] = pending["record"], confirmed, None
        self.state["last"] = {"digest": mark, "outcome": "confirmed", "why": "", "at": self.now()}
        try:
            self.save()
        except OSError as error:
            self.state = self._read_state()
            raise Refused("no-space", "the DPU's disk takes nothing: %s" % os.strerror(error.errno or 0)) from None
        self._forget_bundles()
        return {"digest": mark}

    def _not_waiting(self, mark: str) -> Refused:
        """Why the push that somebody means is not the one that waits."""
        last, pending, confirmed = self.state["last"] or {}, self.state["pending"], self.state["confirmed"]
        if last.get("digest") == mark and last.get("outcome") == "rolled back":
            return Refused("late", "it was rolled back: %s" % last["why"])
        if pending is not None:
            return Refused("another-push", "another push waits here: %s" % pending["digest"][:16])
        if confirmed is not None and confirmed["digest"] == mark:
            return Refused("kept", "it is confirmed: rolling it back needs a signature that says so")
        return Refused("nothing-pending", "no push of that digest waits here")

    def rollback(self, ask: Dict[str, Any]) -> Dict[str, Any]:
        """What ran before the push that is named: unsigned while it waits, signed (of a growing number) once it was confirmed."""
        pending, confirmed = self.state["pending"], self.state["confirmed"]
        if ask.get("statement") is None:
            mark = ask.get("digest")
            if not isinstance(mark, str) or not _HEX.fullmatch(mark):
                raise Refused("malformed", "which push is meant is not said")
            if pending is None or pending["digest"] != mark:
                raise self._not_waiting(mark)
            self.roll_back("somebody rolled it back")
            return {"digest": mark, "confirmed": False}
        said = self._stated(ask, "workbench-dpu-rollback", CONFIRM)
        if pending is not None:
            raise Refused("another-push", "a push waits here: %s" % pending["digest"][:16])
        if confirmed is None:
            raise Refused("nothing-pending", "nothing was pushed here")
        if said["bundle"] != confirmed["digest"]:
            raise Refused("wrong-previous", "what was confirmed last here is %s" % confirmed["digest"][:16])
        _next(said.get("sequence"), self.state["sequence"])
        if self.state["before"] is None:  # one signature must not end all of it: everything would pass
            raise Refused("nothing-before", "nothing that was confirmed before it is known here")
        self.state["sequence"] = said["sequence"]
        self.go(self.state["before"], None, "rolled back after it was confirmed")
        return {"digest": confirmed["digest"], "confirmed": True}

    def members(self, ask: Dict[str, Any]) -> Dict[str, Any]:
        """New members of the sets that the confirmed bundle names, within what it names, for a lease."""
        said, who = self._stated_by(ask, "workbench-dpu-members", MEMBERS)
        confirmed = self.state["confirmed"]
        if self.state["pending"]:
            raise Refused("busy", "a push waits for its confirmation")
        if confirmed is None or said["bundle"] != confirmed["digest"]:
            raise Refused("wrong-previous", "these members are not for the rules that were confirmed last")
        _next(said.get("sequence"), self.state["members_sequence"])
        if not _whole(said.get("expiry"), 1) or self.now() >= said["expiry"]:
            raise Refused("expired", "the members were to be applied earlier")
        sets = self.bundle_of(confirmed["digest"])["sets"]
        given = said.get("sets")
        if not isinstance(given, dict) or set(given) != set(sets):
            raise Refused("malformed", "the members are not those of the sets that the plan names")
        for name, members in given.items():
            _check_members(name, members, sets[name])
        leases = [one["lease"] for one in sets.values() if one["lease"]]
        until = self.now() + min(leases) if leases else None
        record = dict(confirmed, members={"sets": given, "until": until, "by": who})
        self.state["members_sequence"] = said["sequence"]
        changed = given != confirmed["members"]["sets"]
        if not changed and (self.state["applied"] or {}).get("text") == digest(self.wanted(record).encode("utf-8")):
            self.state["confirmed"] = record  # the same rules: nothing is loaded, counters and live flows stay as they are
            self.save()
            return {"digest": confirmed["digest"], "changed": False, "until": until, "text": self.dataplane.told()}
        try:
            self.go(record, self.state["before"], "members")
        except Refused:
            self.state["going"] = None
            self.save()
            with contextlib.suppress(Refused):
                self.put(self.wanted(confirmed))
            raise
        return {"digest": confirmed["digest"], "changed": True, "until": until, "text": self.dataplane.told()}

    def review(self, ask: Dict[str, Any]) -> Dict[str, Any]:
        """Somebody else than its signer has looked at a push with one signature: it is not told any more. Signed."""
        said, who = self._stated_by(ask, "workbench-dpu-review", APPROVAL)
        found = [one for one in self.state["unreviewed"] if one["digest"] == said["bundle"]]
        if not found:
            raise Refused("nothing-pending", "no push of that digest waits for a review")
        if who in [one["signer"] for one in found]:
            raise Refused("self-approved", "%s has signed it and can't review it" % who)
        self.state["unreviewed"] = [one for one in self.state["unreviewed"] if one not in found]
        self.save()
        return {"digest": said["bundle"], "reviewer": who}

    def _stated(self, ask: Dict[str, Any], kind: str, namespace: str) -> Dict[str, Any]:
        """A signed statement of that kind for this DPU."""
        return self._stated_by(ask, kind, namespace)[0]

    def _stated_by(self, ask: Dict[str, Any], kind: str, namespace: str) -> Tuple[Dict[str, Any], str]:
        """It, and who signed it."""
        text = ask.get("statement")
        if not isinstance(text, str):
            raise Refused("unsigned", "there is no signed statement")
        data = text.encode("utf-8", "surrogatepass")
        who = verify(self.folder, data, ask.get("signature"), namespace)[0]
        said = parse_object(data, "malformed", "the statement")
        if canonical(said) != data or said.get("kind") != kind or not isinstance(said.get("bundle"), str):
            raise Refused("malformed", "the statement is not what is needed here")
        if said.get("target") != self.config["target"]:
            raise Refused("wrong-target", "the statement is for another DPU")
        return said, who

    def status(self, ask: Dict[str, Any]) -> Dict[str, Any]:
        """What runs, what was pushed, what is due and what has drifted."""
        try:
            with self.held(2.0):
                self._due(compare=True)
        except OSError as error:  # a full disk: what is due is tried again by the daemon, and is told
            _tell(error)
        except Refused as error:
            if error.code != "busy":
                raise
        state = self.state
        said: Dict[str, Any] = {
            name: state[name] for name in ("sequence", "members_sequence", "confirmed", "before", "alerts", "gaps", "unreviewed")
        }
        pending = state["pending"]
        if pending:
            left = pending["deadline"] - boottime() if pending["boot"] == boot_id() else 0.0
            pending = {"digest": pending["digest"], "phase": pending["phase"], "remaining": round(left, 1)}
        said.update(
            version=VERSION, target=self.config["target"], id=self.config["id"], dataplane=self.dataplane.kind,
            bridge=self.dataplane.bridge,
            now=self.now(), skew=round(time.time() - self.now(), 1), boot=boot_id(), pending=pending, last=state["last"],
            watched=self.watched(), longest_window=self.config["longest_window"], host=_host_rights(),
            longest_break_glass=self.config["longest_break_glass"], drift=None, down=state["down"], running=None, counters={},
            signers=sorted(read_signers((self.folder / "allowed_signers").read_text("utf-8")).values()),
        )  # fmt: skip
        wanted = (state["pending"] if ask.get("bundle") == "pending" else state["confirmed"]) if ask.get("bundle") else None
        if wanted:
            said["bundle"] = (self.folder / "bundles" / (wanted["digest"] + ".json")).read_text("utf-8")
        try:
            running = self.dataplane.running()
            said["running"] = digest(running.encode("utf-8"))
            said["counters"] = self.dataplane.counters()
            if ask.get("others") is True:  # a look at all flows of the bridge
                said["occupied"], said["owner"] = self.dataplane.occupied(), self._stranger()
                said["tells"] = self.dataplane.tells()
            if ask.get("text") is True:
                said["text"] = running
            if state["drift"] and not state["pending"]:
                said["drift"] = self._drift(running)
        except Refused as error:
            said["down"] = {"since": (state["down"] or {}).get("since"), "message": error.message}
        return said

    def _drift(self, running: str) -> Dict[str, Any]:
        """Lines that came and went since the last change of ours."""
        try:
            before = (self.folder / "applied.rules").read_text("utf-8").splitlines()
        except OSError:
            before = []
        now = running.splitlines()
        added, removed = [x for x in now if x not in set(before)], [x for x in before if x not in set(now)]
        return {"since": self.state["drift"]["since"], "added": added[:_KEPT], "removed": removed[:_KEPT]}

    # the daemon

    def watched(self) -> bool:
        """Whether a daemon lives and works: it holds a lock for as long as it does, and saw all in order a moment ago."""
        if boottime() - self._last_look(0.0) > _FRESH:
            return False
        try:
            fd = os.open(str(self.folder / "watch.lock"), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def _due(self, compare: bool) -> None:
        """`tick`, with what it costs when the dataplane does not answer: since when, and for how long it was away."""
        before = self._lasting()
        self.now()
        restored = len(self.state["alerts"])
        try:
            self.tick(compare)
        except Refused as error:
            if self.state["down"] is None:
                self.state["down"] = {"since": self.now(), "at": boottime(), "boot": boot_id(), "message": error.message}
                self.alert("down", error.message)
        else:
            down = self.state["down"]
            again = [one for one in self.state["alerts"][restored:] if one["code"] in ("restored", "rolled-back")]
            if down is not None or any(one["code"] == "restored" for one in again):
                self._note_gap(down)
        if self._lasting() != before:
            self.save()

    def _lasting(self) -> Dict[str, Any]:
        """The state but for how late it is, which alone is not worth a write."""
        return dict(self.state, clock=dict(self.state["clock"] or {}, latest=0))

    def _note_gap(self, down: Optional[Dict[str, Any]]) -> None:
        """How long the rules may have been gone: since the last good look at the most."""
        same = down is not None and down["boot"] == boot_id()
        since = min(self._last_look(), down["at"]) if same and down else self._last_look()
        gap = {"at": self.now(), "seconds": round(boottime() - since, 2), "boot": not same and down is not None}
        self.state["gaps"] = [*self.state["gaps"], gap][-_KEPT:]
        self.state["down"] = None

    def _last_look(self, never: Optional[float] = None) -> float:
        """When the daemon last saw everything in order, in seconds since the start; `never`, or now, where it did not since."""
        never = boottime() if never is None else never - _FRESH - 1
        try:
            boot, at = (self.folder / "watch.lock").read_text("ascii").split()
            return float(at) if boot == boot_id() else never
        except (OSError, ValueError):
            return never

    def watch(self, rounds: Optional[int] = None) -> None:
        """The daemon's life, or so many rounds of it."""
        fd = os.open(str(self.folder / "watch.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        self.keep_reserve()
        compared = saved = 0.0
        said = ""
        while rounds is None or rounds > 0:
            rounds = None if rounds is None else rounds - 1
            try:
                with self.held(0.2):
                    full = boottime() - compared >= _COMPARE
                    self._due(compare=full)
                    compared = boottime() if full else compared
                    if boottime() - saved >= 60:
                        self.save()
                        self.keep_reserve()
                        saved = boottime()
                    if self.state["down"] is None:
                        os.pwrite(fd, ("%s %.2f\n" % (boot_id(), boottime())).ljust(80).encode("ascii"), 0)
            except Exception as error:  # the daemon lives on, whatever it meets
                if str(error) != said:
                    _tell(error)
                said = str(error)
            time.sleep(float(self.config["interval"]))
        os.close(fd)


def _next(number: Any, last: int) -> None:
    """Refused(`replayed`) for a number that was, and for one so high that none could come after it: that would end all pushes."""
    if not _whole(number, 1) or number <= last:
        raise Refused("replayed", "its number is not above %d, the last one here" % last)
    if number > last + _LEAP:
        raise Refused("replayed", "its number is more than %d above %d, the last one here" % (_LEAP, last))


def _without_deletion(kind: str, text: str) -> str:
    if kind != "ovs":
        return text
    return "".join(line + "\n" for line in text.splitlines() if "cookie=" in line and not line.startswith("delete"))


def _check_members(name: str, members: Any, told: Dict[str, Any]) -> None:
    """Refused(`out-of-bounds`) for a member outside of what the plan names."""
    if not _prefixes(members):
        raise Refused("malformed", "the members of %s are no prefixes" % name)
    bounds = [ipaddress.ip_network(one) for one in told["bound"]]
    for one in members:
        net = ipaddress.ip_network(one)
        if not any(net.version == bound.version and net.subnet_of(bound) for bound in bounds):  # type: ignore[arg-type]
            raise Refused("out-of-bounds", "%s may not be a member of %s: the plan does not name it" % (one, name))


def _host_rights(mst: Path = Path("/dev/mst")) -> str:
    """Whether the host may reach into the DPU: `restricted` where every device says so, `privileged` where one says that.

    `unknown` where one can't be asked, fails, or says something else: nobody is to rely on what was not said.
    """
    devices = (
        sorted(str(one) for one in mst.glob("*_pciconf*") if re.search(r"_pciconf[0-9]+$", one.name)) if mst.is_dir() else []
    )
    if not devices or shutil.which("mlxprivhost", path=_PATH) is None:
        return "unknown"
    found = set()
    for device in devices:
        try:
            done = _run(["mlxprivhost", "-d", device, "query"])
        except Refused:
            found.add("unknown")
            continue
        words = set(re.findall(r"[A-Z]+", done.stdout.decode("utf-8", "replace").upper()))
        if words & {"PRIVILEGED", "UNRESTRICTED", "NOT"}:
            found.add("privileged")
        else:
            found.add("restricted" if "RESTRICTED" in words and done.returncode == 0 else "unknown")
    return "privileged" if "privileged" in found else "unknown" if "unknown" in found else "restricted"


def _tell(error: BaseException) -> None:
    sys.stderr.write("workbench-dpu: %s: %s\n" % (type(error).__name__, error))
    sys.stderr.flush()


def _sync(folder: Path) -> None:
    fd = os.open(str(folder), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# -- the program ----------------------------------------------------------------------------------


def serve(folder: Path, given: BinaryIO, out: BinaryIO) -> None:
    """Requests until they end. What can't be read ends it: after that nobody knows where a frame begins."""
    while True:
        signal.alarm(_IDLE)
        try:
            ask = read_frame(given)
        except Refused as error:
            write_frame(out, _refusal(error))
            return
        if ask is None:
            return
        signal.alarm(_REQUEST)
        try:
            answer = dict(Resident(folder).answer(ask), ok=True, protocol=PROTOCOL)
        except Refused as error:
            answer = _refusal(error)
        except OSError as error:
            code = "no-space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "failed"
            answer = _refusal(Refused(code, "the DPU: %s" % os.strerror(error.errno or 0)))
        except Exception as error:  # an answer in any case: the other end must not guess what became of it
            answer = _refusal(Refused("failed", "%s: %s" % (type(error).__name__, error)))
        try:
            write_frame(out, answer)
        except Refused as error:
            write_frame(out, _refusal(error))


def _refusal(error: Refused) -> Dict[str, Any]:
    return {"ok": False, "protocol": PROTOCOL, "version": VERSION, "code": error.code, "message": error.message}


def supervise(folder: Path) -> None:
    """The daemon in a child that is started again whenever it ends, for places without systemd."""
    pause = 0.5
    while True:
        began = time.monotonic()
        with contextlib.suppress(Exception):  # a full disk, a state that can't be read: the daemon must live all the same
            Resident(folder).write("watch.pid", b"%d\n" % os.getpid())
        try:
            child = os.fork()
        except OSError as error:
            child = -1
            _tell(error)
        if child == 0:
            try:
                Resident(folder).watch()
            except BaseException as error:
                _tell(error)
            finally:
                os._exit(1)
        if child > 0:
            os.waitpid(child, 0)
        pause = 0.5 if time.monotonic() - began > 10 else min(pause * 2, 30)  # one that can't live is not asked all the time
        time.sleep(pause)


def main(words: List[str]) -> int:
    """What ssh, systemd or a shell starts. Nothing but two words is read; SSH_ORIGINAL_COMMAND is not."""
    if len(words) != 2 or words[0] not in ("serve", "watch") or not words[1].startswith("/"):
        sys.stderr.write("usage: workbench_dpu.py serve|watch FOLDER\n")
        return 2
    os.umask(0o077)
    folder = Path(words[1])
    if words[0] == "watch":
        supervise(folder)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    with contextlib.suppress(BrokenPipeError):
        serve(folder, sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
