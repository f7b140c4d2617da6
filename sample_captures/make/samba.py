"""The lab's file server: samba's smbd with shares, accounts and a log of every logon, all in the lab's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from sample_captures.make.lab import Lab, wait_for

DCERPCD = next(map(str, Path("/usr").glob("lib*/**/samba/samba-dcerpcd")), "samba-dcerpcd")
CONFIG = """
[global]
  server role = standalone server
  workgroup = WORKS
  netbios name = {name}
  server string = file server
  smb ports = 445
  disable netbios = yes
  interfaces = lo {address}/24
  bind interfaces only = yes
  private dir = {folder}/samba
  lock directory = {folder}/samba
  state directory = {folder}/samba
  cache directory = {folder}/samba
  pid directory = {folder}/samba
  ncalrpc dir = {folder}/samba/ncalrpc
  passdb backend = tdbsam:{folder}/samba/passdb.tdb
  log file = {folder}/samba.log
  log level = 0 auth_json_audit:4
  max log size = 0
  server min protocol = SMB2
  server signing = disabled
  rpc start on demand helpers = no
  guest account = nobody
  map to guest = never
  load printers = no
  disable spoolss = yes
  reset on zero vc = no
"""
SHARE = """
[{share}]
  path = {path}
  comment = {comment}
  read only = no
  valid users = {users}
"""


@dataclass(frozen=True, slots=True)
class Logon:
    """One authentication as smbd logged it."""

    source: str
    port: int
    account: str
    status: str
    service: str


def start(lab: Lab, host: str, address: str, shares: dict[str, tuple[str, str]], accounts: dict[str, str]) -> None:
    """smbd on ``host``: ``shares`` is name -> (comment, users), each a folder SHARE; ``accounts`` is name -> password."""
    here = lab.folder
    (here / "samba" / "ncalrpc").mkdir(parents=True)
    text = CONFIG.format(folder=here, address=address, name=host.upper())
    for share, (comment, users) in shares.items():
        path = here / share
        path.mkdir(exist_ok=True)
        path.chmod(0o777)
        text += SHARE.format(share=share, path=path, comment=comment, users=users)
    config = here / "smb.conf"
    config.write_text(text)
    people = "".join(f"{name}:x:{1500 + n}:1500:{name}:{here}:/bin/sh\n" for n, name in enumerate(accounts) if name != "root")
    (here / "passwd").write_text(f"root:x:0:0:root:{here}:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n{people}")
    (here / "group").write_text("root:x:0:\nnogroup:x:65534:\nstaff:x:1500:\n")
    here.chmod(0o755)
    overlay = {here / "passwd": "/etc/passwd", here / "group": "/etc/group"}
    for name, password in accounts.items():
        secret = here / "secret"
        secret.write_text(f"{password}\n{password}\n")
        lab.run(host, ["sh", "-c", 'smbpasswd -c "$1" -s -a "$2" <"$3"', "sh", str(config), name, str(secret)], overlay=overlay)
    named = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', host]  # smbd tells its machine's name to every client
    lab.start(host, [*named, "smbd", "-F", "--no-process-group", "-s", str(config)], "smbd.out", overlay=overlay)
    lab.start(host, [*named, DCERPCD, "-F", "--libexec-rpcds", "-s", str(config)], "dcerpcd.out", overlay=overlay)
    wait_for("smbd", lambda: lab.listening(host, 445))
    wait_for("samba-dcerpcd", lambda: lab.listening(host, 135))


def logons(log: str) -> list[Logon]:
    """Every authentication in smbd's JSON audit log, in order."""
    found = []
    for line in log.splitlines():
        if '"type": "Authentication"' not in line:
            continue
        said = json.loads(line[line.index("{") :])["Authentication"]
        _family, address, port = said["remoteAddress"].split(":")
        found.append(Logon(address, int(port), said["clientAccount"] or "", said["status"], said["serviceDescription"]))
    return found
