"""Make desktops.pcapng and its ground truth: ``python -m sample_captures.make.desktops [FOLDER]`` (root; about 20 seconds).

A screen that others may look at: over RDP (xrdp, with TLS and a certificate it signed itself, with RDP's own encryption, and
with a client that insists on what the server doesn't have) and over VNC (x11vnc, with a password, once a wrong one).
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

from sample_captures.make import servers
from sample_captures.make.lab import Lab, wait_for
from sample_captures.make.recording import Sample, Truth, command_line, record

HOSTS = {
    "screen": ("10.40.15.30", "RDP and VNC server"),
    "desk": ("10.40.15.21", "a person's workstation"),
}
SCREEN, DESK = HOSTS["screen"][0], HOSTS["desk"][0]
PERSON = ("quillfeather", "Pewter-Canyon-12")
SHARED, WRONG = "Ochre-Lm", "Ochre-Ln"
"""VNC takes eight characters"""
RDP, VNC = 3389, 5900
XRDP = """
[Globals]
ini_version=1
fork=false
port=tcp://{address}:{port}
use_vsock=false
security_layer=negotiate
crypt_level=high
certificate={folder}/web.crt
key_file={folder}/web.key
ssl_protocols=TLSv1.2
max_bpp=16
[Logging]
LogFile={folder}/xrdp.log
LogLevel=INFO
EnableSyslog=false
[desk]
name=desk
lib=libvnc.so
username=na
password=ask
ip=127.0.0.1
port={vnc}
"""
SECURITIES = (("tls", "SSL"), ("rdp", "RDP"), ("nla", "SSL"))
"""what xfreerdp is told to speak, and what xrdp chooses"""
DISPLAY = ":77"


def prepare(lab: Lab) -> None:
    """A picture that x11vnc shows, xrdp beside it, and the display that xfreerdp wants though it shows nothing there."""
    here = lab.folder
    servers.make_certificate(lab, "screen", "screen.lab.example")
    (here / "picture").write_bytes(bytes(160 * 120 * 2))
    (here / "shared").write_text(SHARED + "\n")
    vnc = ["-rawfb", f"map:{here}/picture@160x120x16", "-rfbport", str(VNC), "-listen", SCREEN, "-noipv6", "-nolookup"]
    lab.start(
        "screen", ["x11vnc", *vnc, "-forever", "-shared", "-desktop", "screen", "-passwdfile", str(here / "shared")], "x11vnc.log"
    )
    (here / "xrdp.ini").write_text(XRDP.format(address=SCREEN, port=RDP, vnc=VNC, folder=here))
    lab.start("screen", ["xrdp", "--nodaemon", "--config", str(here / "xrdp.ini")], "xrdp.out")
    lab.start("desk", ["Xvfb", DISPLAY, "-screen", "0", "320x240x24", "-nolisten", "tcp", "-nolisten", "unix"], "xvfb.log")
    wait_for("x11vnc", lambda: lab.listening("screen", VNC))
    wait_for("xrdp", lambda: lab.listening("screen", RDP))


def visits(lab: Lab, log: str, told: str) -> list[int]:
    """The clients' ports that a server's log tells of."""
    return [int(port) for port in re.findall(told, lab.text(log))]


def remote_desktop(lab: Lab, truth: Truth, security: str, chosen: str) -> None:
    """xfreerdp as far as its login; xrdp's log tells its port and what was chosen."""
    told = rf"connection received from {re.escape(DESK)} port (\d+)"
    seen, began = len(visits(lab, "xrdp.log", told)), round(time.time(), 3)
    words = ["xfreerdp", f"/v:{SCREEN}:{RDP}", f"/u:{PERSON[0]}", f"/p:{PERSON[1]}", f"/sec:{security}", "/cert:ignore"]
    lab.run("desk", [*words, "/auth-only", "/client-hostname:DESK"], env={"DISPLAY": DISPLAY}, check=False)
    wait_for("xrdp's log", lambda: len(visits(lab, "xrdp.log", told)) > seen)
    time.sleep(0.3)
    (port,) = visits(lab, "xrdp.log", told)[seen:]
    selected = re.findall(r"requested \[([^\]]*)\], selected \[(\w*)\]", lab.text("xrdp.log"))[-1]
    truth.add(
        who="desk", program="xfreerdp", time=began, proto="tcp", src=DESK, src_port=port, dst=SCREEN, dst_port=RDP,
        service="rdp", outcome="established", requested=selected[0].split("|"), selected=selected[1],
    )  # fmt: skip
    if selected[1] != chosen:
        raise RuntimeError(f"xrdp chose {selected[1]} where {chosen} was expected")


def virtual_network(lab: Lab, truth: Truth, password: str) -> None:
    """vncsnapshot takes a picture of the screen; x11vnc's log tells its port."""
    told = rf"accepted_client=\d+ for {re.escape(DESK)}:(\d+)"
    seen, began, secret = len(visits(lab, "x11vnc.log", told)), round(time.time(), 3), lab.folder / "secret"
    lab.run("desk", ["x11vnc", "-storepasswd", password, str(secret)])
    picture = lab.folder / f"{password}.jpg"
    lab.run("desk", ["vncsnapshot", "-passwd", str(secret), f"{SCREEN}:0", str(picture)], check=False)
    wait_for("x11vnc's log", lambda: len(visits(lab, "x11vnc.log", told)) > seen)
    (port,) = visits(lab, "x11vnc.log", told)[seen:]
    truth.add(
        who="desk", program="vncsnapshot", time=began, proto="tcp", src=DESK, src_port=port, dst=SCREEN, dst_port=VNC,
        service="rfb", outcome="completed", login=picture.exists(),
    )  # fmt: skip


def play(lab: Lab, truth: Truth) -> dict[str, Any]:
    """RDP three ways, VNC twice."""
    truth.step("RDP")
    truth.plant(PERSON[0], "user", clear=True)
    truth.plant(PERSON[1], "password", clear=False)
    for security, chosen in SECURITIES:
        remote_desktop(lab, truth, security, chosen)
        time.sleep(0.5)
    truth.step("VNC")
    for password in (WRONG, SHARED):
        truth.plant(password, "password", clear=False)
        virtual_network(lab, truth, password)
    said = lab.run("desk", ["xfreerdp", "/version"], env={"DISPLAY": DISPLAY}, check=False)
    return {"freerdp": re.findall(r"version ([\d.]+)", said)[0]}


SAMPLE = Sample("desktops", "bridge of 10.40.15.0/24", 24, HOSTS, ("xrdp", "x11vnc", "vncsnapshot", "dumpcap"), play, prepare)


def make(folder: Path) -> dict[str, Any]:
    """Both files into ``folder``; returns the ground truth."""
    return record(SAMPLE, folder)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, make))
