"""The lab's Kerberos realm: MIT's krb5kdc with its accounts, all in the lab's folder, and a log of every request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sample_captures.make.lab import Lab, wait_for

REALM = "LAB.EXAMPLE"
CLIENT = """
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  {more}
[realms]
  {realm} = {{
    kdc = {address}
  }}
"""
SERVER = """
[kdcdefaults]
  kdc_ports = 88
  kdc_tcp_ports = 88
[realms]
  {realm} = {{
    database_name = {folder}/kdc/principal
    key_stash_file = {folder}/kdc/stash
    acl_file = {folder}/kdc/acl
    supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
    default_principal_flags = +preauth
  }}
[logging]
  kdc = FILE:{folder}/kdc.log
"""
REQUEST = re.compile(
    r"(?P<type>AS|TGS)_REQ \(\d+ etypes \{(?P<etypes>[^}]*)\}\) (?P<source>[\d.]+): (?P<status>\w+): "
    r"(?:authtime \d+, (?:etypes \{rep=[^,}]*(?:, tkt=(?P<tkt>[^,]*), ses=[^}]*)?\},? )?)?"
    r"(?P<client>\S+) for (?P<service>[^\s,]+)"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the KDC logged it; etypes by number, 0 where none was issued."""

    type: str
    source: str
    status: str
    client: str
    service: str
    etypes: tuple[int, ...]
    ticket_etype: int


def client(lab: Lab, name: str, address: str, more: str = "") -> dict[str, str]:
    """The environment of a Kerberos client: a configuration and a credential cache of its own."""
    config = lab.folder / f"{name}.krb5.conf"
    config.write_text(CLIENT.format(realm=REALM, address=address, more=more))
    return {"KRB5_CONFIG": str(config), "KRB5CCNAME": f"FILE:{lab.folder}/{name}.cc"}


def start(
    lab: Lab, host: str, address: str, accounts: dict[str, str], services: dict[str, str], open_to_all: Iterable[str]
) -> None:
    """krb5kdc on ``host``: ``accounts`` is name -> password, ``services`` name -> etypes of its key, ``open_to_all`` need no
    pre-authentication.
    """
    (lab.folder / "kdc").mkdir()
    profile = lab.folder / "kdc.conf"
    profile.write_text(SERVER.format(realm=REALM, folder=lab.folder))
    env = client(lab, host, address) | {"KRB5_KDC_PROFILE": str(profile)}
    lab.run(host, ["kdb5_util", "-r", REALM, "-P", "made-for-a-capture", "create", "-s", "-W"], env=env)
    orders = [f"addprinc -pw {password} {name}" for name, password in accounts.items()]
    orders += [f"addprinc -randkey -e {etypes} {name}" for name, etypes in services.items()]
    orders += [f"modprinc -requires_preauth {name}" for name in open_to_all]
    lab.run(host, ["kadmin.local", "-r", REALM], env=env, text="\n".join(orders) + "\n")
    words = [f"{name}={value}" for name, value in env.items()]
    lab.start(host, ["env", *words, "krb5kdc", "-n", "-r", REALM, "-P", str(lab.folder / "kdc.pid")], "krb5kdc.out")
    wait_for("krb5kdc", lambda: lab.listening(host, 88))


def requests(log: Path) -> list[Request]:
    """Every request in the KDC's log, in order."""
    found = []
    for said in REQUEST.finditer(log.read_text()):
        etypes = tuple(map(int, re.findall(r"\((\d+)\)", said["etypes"])))
        number = re.search(r"\((\d+)\)", said["tkt"] or "")
        status, who = said["status"], said["client"].split("@")[0]
        service = said["service"].split("@")[0]
        found.append(Request(said["type"], said["source"], status, who, service, etypes, int(number[1]) if number else 0))
    return found
