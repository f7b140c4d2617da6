"""HTTP, SSH, RDP and ONC RPC as this program and tshark read them: 99% of the values of a protocol must agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from tests.conformance.captures import ROOT, folder, read
from tests.conformance.checks import reading
from tests.conformance.fields import Agreement, Shown, asked
from tests.needs import program

pytestmark = program("tshark")

#: Captures with HTTP/1 in them.
HTTP = (
    "arkime/http-no-length.pcap", "arkime/https-connect.pcap", "arkime/v6-http.pcap", "ja4/http1-with-cookies.pcapng",
    "ndpi/EAQ.pcap", "ndpi/http-lines-split.pcap", "ndpi/softether.pcap", "ndpi/xiaomi.pcap",
    "suricata/base64-issue-5223/input.pcap", "suricata/bug-2430/backwards.pcap", "suricata/bug-6402-01/input.pcap",
    "suricata/bug-8021-alert-max-verdict-01/input.pcap", "suricata/file-match-crossed/http-multipart-post.pcap",
    "suricata/http-all-headers/input.pcap", "suricata/http-evader/http-evader-015/input.pcap",
    "suricata/http-evader/http-evader-097/input.pcap", "suricata/http-pipeline-files-with-gap/input.pcap",
    "suricata/http-range-file/input.pcap", "suricata/http-range-multiflows/input.pcap", "suricata/http-response-line/input.pcap",
    "suricata/http2-deflate-case/input.pcap", "suricata/ips-state-1/input.pcap",
    "suricata/uricontent/detect-uricontent-03/input.pcap", "suricata/vxlan-non-zero-reserved-fields/input.pcap",
    "tcpdump/accecn_handshake.pcap", "zeek/traces/http/261/variant-03-cl_negative.pcap",
    "zeek/traces/http/connect-with-header.pcap", "zeek/traces/http/cooper-grill-dvwa.pcapng",
    "zeek/traces/http/curl_http_09.pcap",
    "zeek/traces/http/interleaved-http-entity.pcap", "zeek/traces/ncp.pcap", "zeek/traces/tcp/missing-syn.pcap",
    "zeek/traces/tls/ocsp-revoked.pcap", "zeek/traces/tunnels/geneve-many-options.pcap",
)  # fmt: skip
# Not among them, and why:
#   arkime/wireshark-retrans.pcap: tshark shows an answer that was sent again twice
#   arkime/CVE-2018-6794.pcap: a request sent again after its connection had closed is a flow, and a request, of its own
#   communityid/tcp.pcap, py-tcp.pcap: the snap length ends within the request's head, of which tshark shows what is there
#   zeek/traces/http/methods.pcap: a request of a method alone, which is not taken for HTTP
#   suricata/output-eve-anomaly-02: a request to an SSH server, which tshark takes for SSH
#   zeek/traces/mixed-vlan-mpls.pcap: a request of version 0.9, which is not taken for HTTP where it begins a flow
#   zeek/traces/http/query-method*.pcap: tshark 4.0 does not know QUERY
SSH = (
    "arkime/v6.pcap", "ja4/sshv1.pcap", "ndpi/custom_categories.pcapng", "suricata/output-eve-anomaly-02/input.pcap",
)  # fmt: skip
# Not among them, and why:
#   suricata/bug-4903/bug-4903-02: a banner with NULs in it is not taken for SSH
#   zeek/traces/ssh/kex-quadratic-1000.pcap.gz: key exchanges of 40,577 bytes, of which 8 KiB are kept: no hash
RDP = ("zeek/traces/rdp/rdp-x509.pcap", "zeek/traces/rdp/rdp-unknown-keyboard.pcap", "arkime/socks5-rdp.pcap")
RPC = ("zeek/traces/portmapper-many-unanswered-calls.pcapng.gz",)


def alike(found: Agreement, where: str, name: str, ours: Iterable[object], theirs: Iterable[object]) -> None:
    """Compare values regardless of their order: each that only one of both has differs."""
    mine, other = Counter(map(str, ours)), Counter(map(str, theirs))
    for value in mine.keys() | other.keys():
        for i in range(max(mine[value], other[value])):
            found.same(where, name, value if i < mine[value] else None, value if i < other[value] else None)


def every(packets: list[Shown], name: str) -> list[str]:
    return [value for packet in packets for value in packet.get(name, [])]


def path_of(target: str) -> str:
    """A target as the column has it: no query, no authority."""
    path = target.split("?")[0].split("#")[0]
    return "/" + path.split("//", 1)[1].partition("/")[2] if path.startswith("http://") else path


_HTTP_FIELDS = (
    "http.request.method",
    "http.host",
    "http.request.uri",
    "http.user_agent",
    "http.response.code",
    "http.server",
    "http.content_type",
)
#: What was sent again was said once. Heads of answers whose bodies are not whole are asked for without their bodies.
_ANSWERS = "http && !http.request && !tcp.analysis.retransmission"
_UNKNOWN = ("QUERY",)  # methods that tshark 4.0 does not know
_NOTHING = dict.fromkeys(("method", "path", "host", "user_agent", "request_type"))
_SSH_FIELDS = ("ssh.protocol", "ssh.kex.hassh", "ssh.kex.hasshserver")
_RDP_FIELDS = ("rdp.client.name", "rdp.client.build", "rdp.keyboardLayout", "rdp.negReq.selectedProtocol")


def http(name: str, found: Agreement) -> None:
    """Compare the http table of a capture."""
    rows = [{**row, **(_NOTHING if row["method"] in _UNKNOWN else {})} for row in reading(name).rows("http")]
    packets = asked(folder() / name, _ANSWERS, _HTTP_FIELDS, "http.desegment_body:FALSE", twice=True)
    packets += asked(folder() / name, "http.request", _HTTP_FIELDS, twice=True)
    values = {what: every(packets, what) for what in _HTTP_FIELDS}
    targets = [
        target
        for packet in packets
        for method, target in zip(packet["http.request.method"], packet["http.request.uri"], strict=False)
        if method != "CONNECT"
    ]
    types = [row[column] for row in rows for column in ("content_type", "request_type") if row[column]]
    alike(found, name, "method", [row["method"] for row in rows if row["method"]], values["http.request.method"])
    alike(found, name, "path", [row["path"] for row in rows if row["path"]], map(path_of, targets))
    alike(found, name, "user_agent", [row["user_agent"] for row in rows if row["user_agent"]], values["http.user_agent"])
    answers = [code for code in values["http.response.code"] if code == "101" or not code.startswith("1")]
    alike(found, name, "status", [row["status"] for row in rows if row["status"]], answers)
    alike(found, name, "server", [row["server"] for row in rows if row["server"]], values["http.server"])
    alike(found, name, "content_type", types, [kind.split(";")[0].strip() for kind in values["http.content_type"]])
    hosts = [row["host"] for row in rows if row["host"] and row["method"] != "CONNECT"]
    asked_hosts = [host for packet in packets if "CONNECT" not in packet["http.request.method"] for host in packet["http.host"]]
    alike(found, name, "host", hosts, asked_hosts)


def ssh(name: str, found: Agreement) -> None:
    """Compare the ssh table of a capture."""
    rows = reading(name).rows("ssh")
    if name.startswith("ndpi/"):  # version 1 on another port, which tshark does not know
        rows = [row for row in rows if row["version"] == "2"]
    packets = asked(folder() / name, "ssh", _SSH_FIELDS)
    # tshark's text of a banner ends at a NUL
    banners = [row[side].split("\\x00")[0].strip() for row in rows for side in ("client", "server") if row[side]]
    alike(found, name, "banner", banners, map(str.strip, every(packets, "ssh.protocol")))
    alike(found, name, "hassh", [row["hassh"] for row in rows if row["hassh"]], every(packets, "ssh.kex.hassh"))
    server = [row["hassh_server"] for row in rows if row["hassh_server"]]
    alike(found, name, "hassh_server", server, every(packets, "ssh.kex.hasshserver"))


def rdp(name: str, found: Agreement) -> None:
    """Compare the rdp table of a capture."""
    rows = reading(name).rows("rdp")
    packets = asked(folder() / name, "rdp or tpkt", _RDP_FIELDS)
    names = [row["client_name"] for row in rows if row["client_name"]]
    alike(found, name, "client_name", names, every(packets, "rdp.client.name"))
    builds = [row["client_build"] for row in rows if row["client_build"]]
    alike(found, name, "client_build", builds, every(packets, "rdp.client.build"))
    layouts = [int(row["keyboard"], 16) for row in rows if row["keyboard"]]
    alike(found, name, "keyboard", layouts, [int(value, 0) for value in every(packets, "rdp.keyboardLayout")])


@pytest.mark.parametrize(("compare", "chosen"), [(http, HTTP), (ssh, SSH), (rdp, RDP)], ids=["http", "ssh", "rdp"])
def test_fields_agree_with_tshark(compare: Callable[[str, Agreement], None], chosen: tuple[str, ...]) -> None:
    found = Agreement()
    for name in chosen:
        compare(name, found)
    found.demand()


def test_rpc() -> None:
    found = Agreement()
    for name in RPC:
        rows = reading(name).rows("nfs")
        packets = asked(
            folder() / name, "rpc.msgtyp == 0 && rpc.program in {100000, 100003, 100005}", ("rpc.procedure", "rpc.xid")
        )
        calls = {
            xid: procedure
            for packet in packets
            for xid, procedure in zip(packet["rpc.xid"], packet["rpc.procedure"], strict=True)
        }
        found.same(name, "calls", sum(row["count"] for row in rows), len(calls))
    found.demand()


@pytest.mark.parametrize("name", ["ssh", "guessing"])
def test_who_came_in_is_guessed_right(name: str) -> None:
    """The guess at authentication against what the programs that made the sample said."""
    made = read(ROOT / "sample_captures" / f"{name}.pcapng")
    ports = {row["flow_id"]: row["src_port"] for row in made.rows()}
    guessed = {ports[row["flow_id"]]: bool(row["authenticated"]) for row in made.rows("ssh")}
    truth = json.loads((ROOT / "sample_captures" / f"{name}.json").read_text())["connections"]
    assert guessed == {said["src_port"]: said["login"] for said in truth if said["service"] == "ssh"}
