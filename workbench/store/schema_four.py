"""The tables of application metadata as schema 4 had them: what the step from 3 to 4 makes, whatever they are today."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Columns by table, as they stand in CREATE TABLE.
SCHEMA_4: Final[Mapping[str, str]] = {
    "dns": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, query VARCHAR, qtype VARCHAR, qclass VARCHAR, rcode VARCHAR, "
        "answers VARCHAR, ttls VARCHAR, rtt_us INTEGER, trans_id INTEGER, kind VARCHAR NOT NULL, opcode VARCHAR, flags "
        "VARCHAR, query_bytes INTEGER, answer_bytes INTEGER"
    ),
    "tls": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, version VARCHAR, sni VARCHAR, alpn VARCHAR, cipher VARCHAR, "
        "ja3 VARCHAR, ja4 VARCHAR, cert_subject VARCHAR, cert_issuer VARCHAR, cert_sha256 VARCHAR, cert_san VARCHAR, "
        "cert_not_before TIMESTAMP, cert_not_after TIMESTAMP, cert_self_signed BOOLEAN, cert_count INTEGER, "
        "client_cert_subject VARCHAR, ja3s VARCHAR, group_name VARCHAR, resumed BOOLEAN, ech BOOLEAN, established "
        "BOOLEAN, alert VARCHAR, upgraded_from VARCHAR"
    ),
    "quic": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, version VARCHAR, sni VARCHAR, alpn VARCHAR, ja4 VARCHAR, ja3 "
        "VARCHAR, server_version VARCHAR, user_agent VARCHAR"
    ),
    "http": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, method VARCHAR, host VARCHAR, path VARCHAR, status INTEGER, "
        "server VARCHAR, content_type VARCHAR, src_body_bytes BIGINT, dst_body_bytes BIGINT, user_agent VARCHAR, "
        "version VARCHAR, request_type VARCHAR, number INTEGER, rtt_us INTEGER"
    ),
    "ssh": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, client VARCHAR, server VARCHAR, hassh VARCHAR, hassh_server "
        "VARCHAR, kex VARCHAR, host_key VARCHAR, cipher VARCHAR, mac VARCHAR, version VARCHAR, authenticated BOOLEAN, "
        "attempts INTEGER"
    ),
    "smb": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, dialect VARCHAR, command VARCHAR NOT NULL, share VARCHAR, pipe "
        "VARCHAR, status VARCHAR, version VARCHAR, count BIGINT, encrypted BOOLEAN, signed BOOLEAN, src_data_bytes "
        "BIGINT, dst_data_bytes BIGINT"
    ),
    "dcerpc": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, interface VARCHAR, uuid VARCHAR, operation VARCHAR, pipe "
        "VARCHAR, opnum INTEGER, version VARCHAR, result VARCHAR, status VARCHAR, count BIGINT, auth VARCHAR, "
        "request_bytes BIGINT, response_bytes BIGINT"
    ),
    "kerberos": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, type VARCHAR NOT NULL, etypes VARCHAR, error VARCHAR, service "
        "VARCHAR, realm VARCHAR, client_hash VARCHAR, ticket_etype VARCHAR, reply_etype VARCHAR, preauth VARCHAR, "
        "options VARCHAR, answered BOOLEAN NOT NULL, rtt_us INTEGER"
    ),
    "ntlm": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, domain VARCHAR, host VARCHAR, user_hash VARCHAR, server_name "
        "VARCHAR, server_domain VARCHAR, version VARCHAR, success BOOLEAN, carrier VARCHAR"
    ),
    "ldap": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, operation VARCHAR NOT NULL, base VARCHAR, scope VARCHAR, "
        "result VARCHAR, entries INTEGER, mechanism VARCHAR, attributes VARCHAR, extended VARCHAR, user_hash VARCHAR, "
        "rtt_us INTEGER"
    ),
    "rdp": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, cookie_hash VARCHAR, security VARCHAR, client_name VARCHAR, "
        "selected VARCHAR, result VARCHAR, client_build INTEGER, keyboard VARCHAR"
    ),
    "slp": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, function VARCHAR NOT NULL, service_type VARCHAR, error "
        "VARCHAR, version VARCHAR, scopes VARCHAR, length BIGINT, url_entries INTEGER, flaw VARCHAR, trans_id INTEGER"
    ),
    "dhcp": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, message VARCHAR NOT NULL, host_name VARCHAR, lease BIGINT, "
        "client_mac VARCHAR, client_ip VARCHAR, assigned_ip VARCHAR, server_ip VARCHAR, relay_ip VARCHAR, domain "
        "VARCHAR, routers VARCHAR, dns_servers VARCHAR, vendor VARCHAR, parameters VARCHAR, client_id VARCHAR, xid "
        "BIGINT, version VARCHAR NOT NULL"
    ),
    "rdma": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, side INTEGER NOT NULL, dst_qp INTEGER NOT NULL, transport "
        "VARCHAR NOT NULL, opcodes VARCHAR NOT NULL, packets BIGINT NOT NULL, read_bytes BIGINT NOT NULL, write_bytes "
        "BIGINT NOT NULL, send_bytes BIGINT NOT NULL, psn_first INTEGER, psn_last INTEGER, acks BIGINT, naks BIGINT, "
        "nak VARCHAR, partition VARCHAR, ts_last TIMESTAMP"
    ),
    "ntp": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, version VARCHAR NOT NULL, mode VARCHAR NOT NULL, stratum "
        "INTEGER, reference VARCHAR, count BIGINT, request VARCHAR, answers BIGINT, rtt_us INTEGER"
    ),
    "snmp": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, version VARCHAR NOT NULL, community_hash VARCHAR, pdu VARCHAR, "
        "count BIGINT, error VARCHAR, level VARCHAR, engine VARCHAR, first_oid VARCHAR"
    ),
    "kubernetes": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, role VARCHAR NOT NULL, evidence VARCHAR NOT NULL, name "
        "VARCHAR, node VARCHAR"
    ),
    "nvme": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, host_nqn VARCHAR, subsystem_nqn VARCHAR, queue INTEGER, status "
        "VARCHAR, digests VARCHAR, reads BIGINT, writes BIGINT, read_bytes BIGINT, write_bytes BIGINT"
    ),
    "nfs": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, program VARCHAR NOT NULL, version VARCHAR NOT NULL, procedure "
        "VARCHAR NOT NULL, status VARCHAR, count BIGINT, machine VARCHAR, export VARCHAR, auth VARCHAR"
    ),
    "iscsi": (
        "flow_id BIGINT NOT NULL, ts TIMESTAMP NOT NULL, initiator VARCHAR, target VARCHAR, session VARCHAR, auth "
        "VARCHAR, status VARCHAR, user_hash VARCHAR"
    ),
}
