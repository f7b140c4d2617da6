"""Tables of application metadata: what was said, without its content. Part of the one list of columns.

Each row names its flow. Names and identifiers that a protocol says in the clear are kept; contents, cookies and passwords never;
what names a person (users, communities) only as a keyed hash (docs/privacy.md).
"""

from __future__ import annotations

from typing import Final

from workbench.records.shape import Column, Privacy, Table, Type

_A, _N, _H = Privacy.ADDRESS, Privacy.NAME, Privacy.HASHED
_BIG, _INT, _TXT, _TS, _BOOL = Type.BIGINT, Type.INTEGER, Type.VARCHAR, Type.TIMESTAMP, Type.BOOLEAN
_FLOW = Column("flow_id", _BIG, "row of `flows`", null=False)
_WHEN = Column("ts", _TS, "packet that began it", "UTC", null=False)


def _table(name: str, meaning: str, *columns: Column) -> Table:
    return Table(name, meaning, (_FLOW, _WHEN, *columns), ("ts",))


DNS: Final = _table(
    "dns",
    "one row per DNS query and its answer (RFC 1035, 6762 mDNS, 4795 LLMNR, 1002 NBNS), over UDP and TCP",
    Column("query", _TXT, "name asked for, lower case, escaped as in a zone file", privacy=_N),
    Column("qtype", _TXT, "type asked for: A, AAAA, TXT; TYPE65280 where IANA has no name"),
    Column("qclass", _TXT, "class: IN, CH, ANY"),
    Column("rcode", _TXT, "NOERROR, NXDOMAIN, SERVFAIL; null while unanswered"),
    Column(
        "answers",
        _TXT,
        "records of the answer section, comma separated: addresses, names; other data by type and size",
        privacy=_N,
    ),
    Column("ttls", _TXT, "their times to live, comma separated", "s"),
    Column("rtt_us", _INT, "query to answer", "us", heading="rtt"),
    Column("trans_id", _INT, "transaction id", privacy=_A),
    Column("kind", _TXT, "dns, mdns, llmnr or nbns", null=False),
    Column("opcode", _TXT, "QUERY, NOTIFY, UPDATE"),
    Column("flags", _TXT, "of aa, tc, rd, ra, ad, cd those that the answer (else the query) has, comma separated"),
    Column("query_bytes", _INT, "size of the query message", "bytes"),
    Column("answer_bytes", _INT, "size of the answer message", "bytes"),
)

TLS: Final = _table(
    "tls",
    "one row per TLS handshake (RFC 8446, 5246)",
    Column("version", _TXT, "negotiated: TLSv1.3; where no answer was seen, the highest offered"),
    Column("sni", _TXT, "server name in the client's hello (RFC 6066)", privacy=_N),
    Column("alpn", _TXT, "protocol chosen, else those offered, comma separated (RFC 7301)"),
    Column("cipher", _TXT, "cipher suite chosen, as IANA names it"),
    Column("ja3", _TXT, "JA3 of the client", privacy=_A),
    Column("ja4", _TXT, "JA4 of the client", privacy=_A),
    Column("cert_subject", _TXT, "subject of the server's certificate (RFC 4514); null under TLS 1.3", privacy=_N),
    Column("cert_issuer", _TXT, "its issuer", privacy=_N),
    Column("cert_sha256", _TXT, "SHA-256 of the certificate, hex", privacy=_A),
    Column("cert_san", _TXT, "names it is valid for, comma separated", privacy=_N),
    Column("cert_not_before", _TS, "valid from", "UTC"),
    Column("cert_not_after", _TS, "valid until", "UTC"),
    Column("cert_self_signed", _BOOL, "whether subject and issuer are the same"),
    Column("cert_count", _INT, "certificates in the chain that was sent"),
    Column("client_cert_subject", _TXT, "subject of the client's certificate", privacy=_N),
    Column("ja3s", _TXT, "JA3S of the server", privacy=_A),
    Column("group_name", _TXT, "key exchange group chosen"),
    Column("resumed", _BOOL, "whether a session was resumed"),
    Column("ech", _BOOL, "whether the hello has an encrypted client hello: the name seen is the outer one"),
    Column("established", _BOOL, "whether both sides sent encrypted application data or finished"),
    Column("alert", _TXT, "first alert in the clear: handshake_failure"),
    Column("upgraded_from", _TXT, "protocol in which it began with STARTTLS"),
)

QUIC: Final = _table(
    "quic",
    "one row per QUIC connection attempt (RFC 9000, 9001, 9369)",
    Column("version", _TXT, "1, 2, draft-29 or the number in hex"),
    Column("sni", _TXT, "server name in the client's hello", privacy=_N),
    Column("alpn", _TXT, "protocols offered, comma separated"),
    Column("ja4", _TXT, "JA4 of the client", privacy=_A),
    Column("ja3", _TXT, "JA3 of the client", privacy=_A),
    Column("server_version", _TXT, "version the server answered with; offered versions where it negotiates"),
    Column("user_agent", _TXT, "client as it names itself in transport parameters of old drafts", privacy=_N),
)

HTTP: Final = _table(
    "http",
    "one row per HTTP/1 request and its response (RFC 9112)",
    Column("method", _TXT, "method"),
    Column("host", _TXT, "Host header", privacy=_N),
    Column("path", _TXT, "path of the target, without query", privacy=_N),
    Column("status", _INT, "status code"),
    Column("server", _TXT, "Server header", privacy=_N),
    Column("content_type", _TXT, "Content-Type of the response, without parameters"),
    Column("src_body_bytes", _BIG, "body of the request", "bytes"),
    Column("dst_body_bytes", _BIG, "body of the response", "bytes"),
    Column("user_agent", _TXT, "User-Agent header", privacy=_N),
    Column("version", _TXT, "version of the request, 1.1"),
    Column("request_type", _TXT, "Content-Type of the request, without parameters"),
    Column("number", _INT, "counts requests of the flow from 1"),
    Column("rtt_us", _INT, "request's head to response's head", "us", heading="rtt"),
)

SSH: Final = _table(
    "ssh",
    "one row per SSH connection (RFC 4253)",
    Column("client", _TXT, "client's banner", privacy=_N),
    Column("server", _TXT, "server's banner", privacy=_N),
    Column("hassh", _TXT, "HASSH of the client", privacy=_A),
    Column("hassh_server", _TXT, "HASSH of the server", privacy=_A),
    Column("kex", _TXT, "key exchange chosen"),
    Column("host_key", _TXT, "host key algorithm chosen"),
    Column("cipher", _TXT, "cipher chosen, client to server"),
    Column("mac", _TXT, "MAC chosen, client to server"),
    Column("version", _TXT, "1 or 2"),
    Column("authenticated", _BOOL, "a guess from sizes of encrypted packets, as Zeek makes; null where nothing can be said"),
    Column("attempts", _INT, "authentication attempts, as guessed"),
)

SMB: Final = _table(
    "smb",
    "one row per kind of SMB command in a flow: command, share, pipe and status (MS-CIFS, MS-SMB2)",
    Column("dialect", _TXT, "dialect agreed on: 3.1.1, NT LM 0.12"),
    Column("command", _TXT, "command: NEGOTIATE, TREE_CONNECT, CREATE", null=False),
    Column("share", _TXT, "share, as the client wrote it", privacy=_N),
    Column("pipe", _TXT, "named pipe", privacy=_N),
    Column("status", _TXT, "NT status of the response: SUCCESS, ACCESS_DENIED; null while unanswered"),
    Column("version", _TXT, "1, 2 or 3"),
    Column("count", _BIG, "how often"),
    Column("encrypted", _BOOL, "whether only the transform header could be read"),
    Column("signed", _BOOL, "whether the messages were signed"),
    Column("src_data_bytes", _BIG, "bytes written", "bytes"),
    Column("dst_data_bytes", _BIG, "bytes read", "bytes"),
)

DCERPC: Final = _table(
    "dcerpc",
    "one row per interface and operation in a flow (C706, MS-RPCE), over TCP, UDP or an SMB pipe",
    Column("interface", _TXT, "interface by name: svcctl; its UUID where it has none"),
    Column("uuid", _TXT, "interface"),
    Column("operation", _TXT, "operation by name, opnum_N where it has none; null where it was only bound"),
    Column("pipe", _TXT, "named pipe it went through", privacy=_N),
    Column("opnum", _INT, "operation number"),
    Column("version", _TXT, "interface version, major.minor"),
    Column("result", _TXT, "of a bind accepted or rejected, of a call answered or the fault by name; null while unanswered"),
    Column("status", _TXT, "what the operation returned, where its answer is in the clear: SUCCESS, ACCESS_DENIED"),
    Column("count", _BIG, "how often"),
    Column("auth", _TXT, "security provider and level: ntlm/privacy"),
    Column("request_bytes", _BIG, "stub data of requests", "bytes"),
    Column("response_bytes", _BIG, "stub data of responses", "bytes"),
)

KERBEROS: Final = _table(
    "kerberos",
    "one row per Kerberos exchange (RFC 4120), also inside other protocols",
    Column("type", _TXT, "AS, TGS, AP", null=False),
    Column("etypes", _TXT, "encryption types asked for, comma separated"),
    Column("error", _TXT, "error by name: KDC_ERR_PREAUTH_REQUIRED; null where there was none"),
    Column("service", _TXT, "service name", privacy=_N),
    Column("realm", _TXT, "realm", privacy=_N),
    Column("client_hash", _TXT, "client name, hashed", privacy=_H),
    Column("ticket_etype", _TXT, "encryption type of the ticket that was issued or shown"),
    Column("reply_etype", _TXT, "encryption type of the reply's own part"),
    Column("preauth", _TXT, "pre-authentication data types sent, comma separated"),
    Column("options", _TXT, "KDC options: forwardable, renewable"),
    Column("answered", _BOOL, "whether a reply or error was seen", null=False),
    Column("rtt_us", _INT, "request to reply", "us", heading="rtt"),
)

NTLM: Final = _table(
    "ntlm",
    "one row per NTLM authentication (MS-NLMP), inside whatever carries it",
    Column("domain", _TXT, "domain the client names", privacy=_N),
    Column("host", _TXT, "workstation the client names", privacy=_N),
    Column("user_hash", _TXT, "user name, hashed", privacy=_H),
    Column("server_name", _TXT, "NetBIOS computer name the server tells", privacy=_N),
    Column("server_domain", _TXT, "DNS domain the server tells", privacy=_N),
    Column("version", _TXT, "NTLMv1, NTLMv2, anonymous"),
    Column("success", _BOOL, "whether the carrier accepted it; null where it does not say"),
    Column("carrier", _TXT, "smb, http, dcerpc, ldap"),
)

LDAP: Final = _table(
    "ldap",
    "one row per LDAP operation (RFC 4511)",
    Column("operation", _TXT, "bind, search, modify, extended", null=False),
    Column("base", _TXT, "DN it is about", privacy=_N),
    Column("scope", _TXT, "base, one, sub"),
    Column("result", _TXT, "result by name: success, invalidCredentials; null while unanswered"),
    Column("entries", _INT, "entries returned"),
    Column("mechanism", _TXT, "how a bind authenticates: simple, GSS-SPNEGO; anonymous, unauthenticated"),
    Column("attributes", _TXT, "attribute types asked for, or changed, comma separated", privacy=_N),
    Column("extended", _TXT, "object identifier of an extended operation"),
    Column("user_hash", _TXT, "user who binds, hashed", privacy=_H),
    Column("rtt_us", _INT, "request to the last response", "us", heading="rtt"),
)

RDP: Final = _table(
    "rdp",
    "one row per RDP connection (MS-RDPBCGR)",
    Column("cookie_hash", _TXT, "mstshash cookie, hashed", privacy=_H),
    Column("security", _TXT, "protocols asked for: rdp, tls, hybrid"),
    Column("client_name", _TXT, "client computer name, where it is said in the clear", privacy=_N),
    Column("selected", _TXT, "protocol the server chose"),
    Column("result", _TXT, "failure by name: SSL_REQUIRED_BY_SERVER; null where there was none"),
    Column("client_build", _INT, "client build number"),
    Column("keyboard", _TXT, "keyboard layout, hex"),
)

SLP: Final = _table(
    "slp",
    "one row per SLP message (RFC 2608, 2165)",
    Column("function", _TXT, "function: SrvRqst, SrvReg, AttrRqst", null=False),
    Column("service_type", _TXT, "service type", privacy=_N),
    Column("error", _TXT, "error of a reply by name"),
    Column("version", _TXT, "1 or 2"),
    Column("scopes", _TXT, "scopes", privacy=_N),
    Column("length", _BIG, "length the header claims", "bytes"),
    Column("url_entries", _INT, "URL entries in a reply"),
    Column("flaw", _TXT, "what is oversized or malformed; null where nothing is"),
    Column("trans_id", _INT, "transaction id", privacy=_A),
)

DHCP: Final = _table(
    "dhcp",
    "one row per DHCP message (RFC 2131, 8415)",
    Column("message", _TXT, "type: DISCOVER, OFFER, REQUEST, ACK; SOLICIT, REPLY; BOOTREQUEST", null=False),
    Column("host_name", _TXT, "host name, or the first label of the client's FQDN", privacy=_N),
    Column("lease", _BIG, "lease time; 4294967295 is for ever", "s"),
    Column("client_mac", _TXT, "client hardware address", privacy=_A),
    Column("client_ip", _TXT, "address the client has or asks for", privacy=_A),
    Column("assigned_ip", _TXT, "address it is given", privacy=_A),
    Column("server_ip", _TXT, "server identifier", privacy=_A),
    Column("relay_ip", _TXT, "relay agent", privacy=_A),
    Column("domain", _TXT, "domain name given", privacy=_N),
    Column("routers", _TXT, "routers given, comma separated", privacy=_A),
    Column("dns_servers", _TXT, "DNS servers given, comma separated", privacy=_A),
    Column("vendor", _TXT, "vendor class", privacy=_N),
    Column("parameters", _TXT, "options asked for, in order, comma separated: a fingerprint of the system"),
    Column("client_id", _TXT, "client identifier or DUID, hex", privacy=_A),
    Column("xid", _BIG, "transaction id", privacy=_A),
    Column("version", _TXT, "4 or 6", null=False),
)

RDMA: Final = _table(
    "rdma",
    "one row per queue pair and direction of a RoCEv2 flow (IBTA 1.4, annex A17)",
    Column("side", _INT, "0 the originator sent it, 1 the responder", null=False),
    Column("dst_qp", _INT, "destination queue pair", privacy=_A, null=False),
    Column("transport", _TXT, "rc, uc, ud, rd or cnp", null=False),
    Column("opcodes", _TXT, "operations seen, comma separated: write_first, ack", null=False),
    Column("packets", _BIG, "packets", "packets", null=False),
    Column("read_bytes", _BIG, "bytes asked for by RDMA READ", "bytes", null=False),
    Column("write_bytes", _BIG, "bytes of RDMA WRITE", "bytes", null=False),
    Column("send_bytes", _BIG, "bytes of SEND", "bytes", null=False),
    Column("psn_first", _INT, "first packet sequence number"),
    Column("psn_last", _INT, "last packet sequence number"),
    Column("acks", _BIG, "acknowledgements", "packets"),
    Column("naks", _BIG, "negative acknowledgements", "packets"),
    Column("nak", _TXT, "kind of the first: psn_sequence_error, remote_access_error"),
    Column("partition", _TXT, "partition key, hex", privacy=_A),
    Column("ts_last", _TS, "last packet", "UTC"),
)

NTP: Final = _table(
    "ntp",
    "one row per NTP association and mode in a flow (RFC 5905)",
    Column("version", _TXT, "version", null=False),
    Column("mode", _TXT, "client, server, symmetric, broadcast, control, private", null=False),
    Column("stratum", _INT, "stratum, as said last"),
    Column("reference", _TXT, "reference id: a code for stratum 1, an address above", privacy=_A),
    Column("count", _BIG, "messages", "messages"),
    Column("request", _TXT, "request code of a control or private message: monlist"),
    Column("answers", _BIG, "of them answers", "messages"),
    Column("rtt_us", _INT, "first request to its answer", "us", heading="rtt"),
)

SNMP: Final = _table(
    "snmp",
    "one row per version, community and kind of message in a flow (RFC 3411, 1901, 1157)",
    Column("version", _TXT, "1, 2c or 3", null=False),
    Column("community_hash", _TXT, "community or user name, hashed", privacy=_H),
    Column("pdu", _TXT, "get, getnext, getbulk, set, response, trap, inform, report"),
    Column("count", _BIG, "messages", "messages"),
    Column("error", _TXT, "error status by name, of the first response with one"),
    Column("level", _TXT, "SNMPv3: noAuthNoPriv, authNoPriv, authPriv"),
    Column("engine", _TXT, "SNMPv3: authoritative engine id, hex", privacy=_A),
    Column("first_oid", _TXT, "first object identifier asked for"),
)

KUBERNETES: Final = _table(
    "kubernetes",
    "one row per TLS connection that its names or certificate show to be the Kubernetes API, a kubelet or etcd",
    Column("role", _TXT, "api-server, kubelet, etcd, webhook", null=False),
    Column("evidence", _TXT, "what says so: sni, san, issuer, alpn, port", null=False),
    Column("name", _TXT, "name that says so", privacy=_N),
    Column("node", _TXT, "node name of a kubelet's certificate", privacy=_N),
)

NVME: Final = _table(
    "nvme",
    "one row per NVMe/TCP connection (NVM Express TCP transport)",
    Column("host_nqn", _TXT, "qualified name of the host", privacy=_N),
    Column("subsystem_nqn", _TXT, "qualified name of the subsystem", privacy=_N),
    Column("queue", _INT, "queue id: 0 is the admin queue"),
    Column("status", _TXT, "status of the connect command; null where it succeeded or was not seen"),
    Column("digests", _TXT, "of header, data those that are on; none"),
    Column("reads", _BIG, "read commands"),
    Column("writes", _BIG, "write commands"),
    Column("read_bytes", _BIG, "data to the host", "bytes"),
    Column("write_bytes", _BIG, "data from the host", "bytes"),
)

NFS: Final = _table(
    "nfs",
    "one row per program, version, procedure and status in a flow (RFC 5531, 1813, 8881)",
    Column("program", _TXT, "nfs, mount, portmap, nlm", null=False),
    Column("version", _TXT, "version", null=False),
    Column("procedure", _TXT, "procedure; NFSv4: operations of the compound, comma separated", null=False),
    Column("status", _TXT, "status by name; null while unanswered"),
    Column("count", _BIG, "calls"),
    Column("machine", _TXT, "machine name of AUTH_SYS", privacy=_N),
    Column("export", _TXT, "path of a mount call", privacy=_N),
    Column("auth", _TXT, "none, sys, gss"),
)

ISCSI: Final = _table(
    "iscsi",
    "one row per iSCSI login (RFC 7143)",
    Column("initiator", _TXT, "InitiatorName", privacy=_N),
    Column("target", _TXT, "TargetName", privacy=_N),
    Column("session", _TXT, "Normal or Discovery"),
    Column("auth", _TXT, "authentication methods offered; then, behind a semicolon, the one chosen"),
    Column("status", _TXT, "login status by name; null while unanswered"),
    Column("user_hash", _TXT, "CHAP name, hashed", privacy=_H),
)

#: Every table of application metadata, in the order of the documents.
APPLICATION: Final[tuple[Table, ...]] = (
    DNS, TLS, QUIC, HTTP, SSH, SMB, DCERPC, KERBEROS, NTLM, LDAP, RDP, SLP, DHCP, RDMA, NTP, SNMP, KUBERNETES, NVME, NFS, ISCSI,
)  # fmt: skip
