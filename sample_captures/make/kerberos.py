"""Make kerberos.pcapng and its ground truth: ``python -m sample_captures.make.kerberos [FOLDER]`` (root; about 10 seconds).

MIT's KDC. A person gets a ticket and tickets for services, mistypes a password, and asks for what doesn't exist. From another
host somebody who has an account tries a name that doesn't exist, takes the answer for an account that needs no
pre-authentication, and gathers tickets for old services whose keys are RC4.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import kdc
from sample_captures.make.lab import Lab
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "kdc": ("10.40.11.88", "KDC of the realm LAB.EXAMPLE"),
    "desk": ("10.40.11.21", "a person's workstation"),
    "jump": ("10.40.11.66", "intruder's foothold"),
}
KDC = HOSTS["kdc"][0]
PERSON = ("quillfeather", "Pewter-Canyon-12")
TAKEN = ("marshlight", "Copper-Thistle-41")
OPEN = ("oldprinter", "Velvet-Harbour-77")
NOBODY = "nightheron"
MISTYPED = "Pewter-Canyon-21"
AES, RC4 = "aes256-cts-hmac-sha1-96:normal", "rc4-hmac:normal"
NEW = ("host/files.lab.example", "HTTP/wiki.lab.example")
OLD = tuple(
    f"{kind}.lab.example" for kind in ("MSSQLSvc/ledger", "MSSQLSvc/stock", "HTTP/payroll", "ftp/archive", "HTTP/scanner")
)
MISSING = "host/nowhere.lab.example"
OUTCOMES = {
    "ISSUE": None,
    "NEEDED_PREAUTH": "KDC_ERR_PREAUTH_REQUIRED",
    "PREAUTH_FAILED": "KDC_ERR_PREAUTH_FAILED",
    "CLIENT_NOT_FOUND": "KDC_ERR_C_PRINCIPAL_UNKNOWN",
    "LOOKING_UP_SERVER": "KDC_ERR_S_PRINCIPAL_UNKNOWN",
    "UNKNOWN_SERVER": "KDC_ERR_S_PRINCIPAL_UNKNOWN",
}
"""what the KDC's log calls it -> the error that RFC 4120 gives it"""


def prepare(lab: Lab) -> None:
    """The realm, with services of today and old ones."""
    services = dict.fromkeys(NEW, AES) | dict.fromkeys(OLD, RC4)
    kdc.start(lab, "kdc", KDC, dict((PERSON, TAKEN, OPEN)), services, [OPEN[0]])


def ask(lab: Lab, truth: Truth, who: str, program: str, words: list[str], *, text: str = "", tcp: bool = False) -> None:
    """Run kinit or kvno; notes each request that the KDC logged of it, which is a socket of the client's each."""
    log = lab.folder / "kdc.log"
    seen, began = len(kdc.requests(log)), round(time.time(), 3)
    env = kdc.client(lab, who, KDC, "udp_preference_limit = 1" if tcp else "")
    lab.run(who, [program, *words], env=env, text=text, check=False)
    for request in kdc.requests(log)[seen:]:
        truth.add(
            who=who, program=program, time=began, proto="tcp" if tcp else "udp", src=request.source, src_port=None, dst=KDC,
            dst_port=88, service="kerberos", outcome="completed" if tcp else "answered", type=request.type,
            asked=request.service, error=OUTCOMES[request.status], etypes=list(request.etypes),
            ticket_etype=request.ticket_etype or None,
        )  # fmt: skip


def login(lab: Lab, truth: Truth, who: str, user: str, password: str, *, tcp: bool = False) -> None:
    """kinit with a password on its stdin."""
    truth.plant(user, "user", clear=True)
    truth.plant(password, "password", clear=False)
    ask(lab, truth, who, "kinit", [user], text=password + "\n", tcp=tcp)


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """The person's day, then the gathering of tickets."""
    truth.step("a person logs in and uses services")
    login(lab, truth, "desk", PERSON[0], MISTYPED)
    login(lab, truth, "desk", *PERSON)
    for service in (*NEW, MISSING):
        ask(lab, truth, "desk", "kvno", [service])
    truth.step("once over TCP")
    login(lab, truth, "desk", *PERSON, tcp=True)
    time.sleep(1)
    truth.step("accounts are tried")
    login(lab, truth, "jump", NOBODY, MISTYPED)
    login(lab, truth, "jump", *OPEN)
    truth.step("tickets are gathered")
    login(lab, truth, "jump", *TAKEN)
    for service in OLD:
        ask(lab, truth, "jump", "kvno", [service])
    return {"kerberoasting": {"source": HOSTS["jump"][0], "services": list(OLD), "ticket_etype": 23}}


SAMPLE = Sample("kerberos", "bridge of 10.40.11.0/24", 24, HOSTS, ("klist", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
