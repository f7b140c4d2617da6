/*
id: eve
title: Suricata EVE
description: >
  Events that Suricata writes as JSON, one a line or over several lines. Events of type flow become flows, the two halves of a
  netflow event one flow where they stand together; dns, tls, http, ssh, smb, krb5, quic and dhcp events join them by flow_id, and make a
  flow of their own, without counts, where no flow event has theirs. arp events go into arp. An alert is a row of host_events of
  kind alert: it is what a sensor said, not a finding of ours. Query and answer of DNS are one row where they stand together.
input: json
recognise:
  - '\A\s*\[?\s*\{[^\x00]*?"event_type"\s*:\s*"'
times: timestamp, flow.start and flow.end are ISO 8601 with an offset
stream: event_type
fields: [event_type, timestamp, flow_id, in_iface, src_ip, src_port, dest_ip, dest_port, proto, icmp_type, icmp_code, response_icmp_type,
  app_proto, vlan, community_id, ether.src_mac, ether.dest_mac, tcp.tcp_flags_ts, tcp.tcp_flags_tc, flow.pkts_toserver,
  flow.pkts_toclient, flow.bytes_toserver, flow.bytes_toclient, flow.start, flow.end, flow.state, flow.reason, flow.action,
  netflow.pkts, netflow.bytes, netflow.start, netflow.end, dns.type, dns.id, dns.rrname, dns.rrtype, dns.rcode, dns.answers, dns.queries,
  dns.opcode, dns.flags, dns.aa, dns.tc, dns.rd, dns.ra, tls.version, tls.sni, tls.subject, tls.issuerdn, tls.notbefore, tls.notafter,
  tls.ja3.hash, tls.ja3s.hash, tls.ja4, tls.session_resumed, tls.subjectaltname, http.hostname, http.url, http.http_method, http.status,
  http.http_user_agent, http.http_content_type, http.protocol, http.length, ssh.client.software_version, ssh.client.proto_version,
  ssh.server.software_version, ssh.server.proto_version, ssh.client.hassh.hash, ssh.server.hassh.hash, smb.dialect, smb.command,
  smb.status, smb.share, smb.named_pipe, krb5.msg_type, krb5.cname, krb5.realm, krb5.sname, krb5.encryption, krb5.error_code,
  quic.version, quic.sni, quic.ja3.hash, quic.ja4, quic.ua, dhcp.dhcp_type, dhcp.type, dhcp.id, dhcp.client_mac, dhcp.assigned_ip, dhcp.client_ip,
  dhcp.relay_ip, dhcp.lease_time, dhcp.hostname, dhcp.routers, dhcp.dns_servers, arp.opcode, arp.src_mac, arp.src_ip, arp.dest_mac,
  arp.dest_ip, alert.action, alert.gid, alert.signature_id, alert.rev, alert.signature, alert.category, alert.severity]
columns:
  key: flow_id, by which events find their flow
  src_bytes: flow.bytes_toserver, which counts link headers, too
  verdict: deny where flow.action is drop
references:
  - "Suricata user guide, EVE JSON format: types of events and their members"
*/
-- into flows from flow
SELECT n, flow_id AS key, coalesce("flow.start", timestamp) AS ts, "flow.end" AS ts_end, src_ip, dest_ip AS dst_ip,
    coalesce(src_port, icmp_type) AS src_port, coalesce(dest_port, response_icmp_type, icmp_code) AS dst_port, proto,
    service_name(app_proto) AS service, "flow.pkts_toserver" AS src_pkts, "flow.pkts_toclient" AS dst_pkts,
    "flow.bytes_toserver" AS src_bytes, "flow.bytes_toclient" AS dst_bytes, "ether.src_mac" AS src_mac, "ether.dest_mac" AS dst_mac,
    first_number(vlan) AS vlan, second_number(vlan) AS inner_vlan,
    TRY_CAST('0x' || "tcp.tcp_flags_ts" AS INTEGER) AS src_flags, TRY_CAST('0x' || "tcp.tcp_flags_tc" AS INTEGER) AS dst_flags,
    CASE "flow.reason" WHEN 'timeout' THEN CASE WHEN "flow.state" = 'closed' THEN 3 ELSE 1 END WHEN 'tcp_reuse' THEN 3 ELSE 4 END
        AS end_reason,
    CASE "flow.action" WHEN 'drop' THEN 'deny' WHEN 'reject' THEN 'deny' WHEN 'pass' THEN 'allow' END AS verdict
FROM rows

-- into flows from netflow
WITH halves AS (
    SELECT *, row_number() OVER (PARTITION BY flow_id, "netflow.start" ORDER BY n) AS half,
        lead(src_ip) OVER one AS back_ip, lead("netflow.pkts") OVER one AS back_pkts, lead("netflow.bytes") OVER one AS back_bytes,
        lead("netflow.end") OVER one AS back_end
    FROM rows WINDOW one AS (PARTITION BY flow_id ORDER BY n)
)
SELECT n, flow_id AS key, coalesce("netflow.start", timestamp) AS ts,
    CASE WHEN back_ip = dest_ip AND as_time(back_end) > as_time("netflow.end") THEN back_end ELSE "netflow.end" END AS ts_end,
    src_ip, dest_ip AS dst_ip, src_port, dest_port AS dst_port, proto, service_name(app_proto) AS service,
    "netflow.pkts" AS src_pkts, "netflow.bytes" AS src_bytes,
    CASE WHEN back_ip = dest_ip THEN back_pkts END AS dst_pkts, CASE WHEN back_ip = dest_ip THEN back_bytes END AS dst_bytes,
    first_number(vlan) AS vlan, second_number(vlan) AS inner_vlan, CASE WHEN half > 1 THEN '-' END AS reject
FROM halves

-- into dns from dns
WITH told AS (
    SELECT *, "dns.type" IN ('answer', 'response') AS answered, coalesce("dns.rrname", "dns.queries" ->> '$[0].rrname') AS name,
        coalesce("dns.rrtype", "dns.queries" ->> '$[0].rrtype') AS kind
    FROM rows
), paired AS (
    SELECT *, max(CASE WHEN answered THEN n END) OVER (PARTITION BY flow_id, "dns.id", name) AS answer,
        min(CASE WHEN NOT answered THEN as_time(timestamp) END) OVER (PARTITION BY flow_id, "dns.id", name) AS asked
    FROM told
)
SELECT n, flow_id AS key, CASE WHEN answered THEN coalesce(asked, as_time(timestamp)) ELSE as_time(timestamp) END AS ts,
    src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip, dest_port AS flow_dst_port, proto AS flow_proto,
    'dns' AS flow_service, lower(name) AS query, kind AS qtype, "dns.rcode" AS rcode,
    array_to_string(json_extract_string("dns.answers", '$[*].rdata'), ',') AS answers,
    array_to_string(json_extract_string("dns.answers", '$[*].ttl'), ',') AS ttls,
    CASE WHEN answered THEN epoch_us(as_time(timestamp)) - epoch_us(asked) END AS rtt_us, "dns.id" AS trans_id,
    CASE WHEN '5353' IN (src_port, dest_port) THEN 'mdns' WHEN '5355' IN (src_port, dest_port) THEN 'llmnr' ELSE 'dns' END AS kind,
    words("dns.aa" = 'true', 'aa', "dns.tc" = 'true', 'tc', "dns.rd" = 'true', 'rd', "dns.ra" = 'true', 'ra') AS flags,
    CASE WHEN NOT coalesce(answered, false) AND answer IS NOT NULL THEN '-' END AS reject
FROM paired

-- into tls from tls
SELECT n, flow_id AS key, timestamp AS ts, src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip,
    dest_port AS flow_dst_port, proto AS flow_proto, 'tls' AS flow_service,
    CASE WHEN "tls.version" LIKE 'TLS 1.%' THEN replace("tls.version", 'TLS ', 'TLSv') WHEN "tls.version" = 'TLSv1' THEN 'TLSv1.0'
        ELSE "tls.version" END AS version,
    "tls.sni" AS sni, "tls.subject" AS cert_subject, "tls.issuerdn" AS cert_issuer, "tls.subject" = "tls.issuerdn" AS cert_self_signed,
    "tls.notbefore" AS cert_not_before, "tls.notafter" AS cert_not_after, as_list("tls.subjectaltname") AS cert_san,
    "tls.ja3.hash" AS ja3, "tls.ja3s.hash" AS ja3s, "tls.ja4" AS ja4, "tls.session_resumed" AS resumed
FROM rows

-- into http from http
SELECT n, flow_id AS key, timestamp AS ts, src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip,
    dest_port AS flow_dst_port, proto AS flow_proto, 'http' AS flow_service, "http.http_method" AS method, "http.hostname" AS host,
    regexp_replace("http.url", '[?#].*', '') AS path, "http.status" AS status, "http.http_content_type" AS content_type,
    "http.length" AS dst_body_bytes, "http.http_user_agent" AS user_agent, replace("http.protocol", 'HTTP/', '') AS version
FROM rows

-- into ssh from ssh
SELECT n, flow_id AS key, timestamp AS ts, src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip,
    dest_port AS flow_dst_port, proto AS flow_proto, 'ssh' AS flow_service,
    'SSH-' || "ssh.client.proto_version" || '-' || "ssh.client.software_version" AS client,
    'SSH-' || "ssh.server.proto_version" || '-' || "ssh.server.software_version" AS server,
    "ssh.client.hassh.hash" AS hassh, "ssh.server.hassh.hash" AS hassh_server, "ssh.client.proto_version"[1] AS version
FROM rows

-- into smb from smb
SELECT n, flow_id AS key, timestamp AS ts, src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip,
    dest_port AS flow_dst_port, proto AS flow_proto, 'smb' AS flow_service, "smb.dialect" AS dialect,
    regexp_replace("smb.command", '^SMB[12]_COMMAND_', '') AS command, "smb.share" AS share, "smb.named_pipe" AS pipe,
    regexp_replace("smb.status", '^STATUS_', '') AS status, 1 AS count
FROM rows

-- into kerberos from krb5
SELECT n, flow_id AS key, timestamp AS ts, src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip,
    dest_port AS flow_dst_port, proto AS flow_proto, 'kerberos' AS flow_service,
    coalesce(nullif(regexp_extract("krb5.msg_type", 'KRB_(AS|TGS|AP)', 1), ''), 'AP') AS type, "krb5.error_code" AS error,
    "krb5.sname" AS service, "krb5.realm" AS realm, "krb5.cname" AS client_hash, "krb5.encryption" AS ticket_etype, true AS answered
FROM rows

-- into quic from quic
SELECT n, flow_id AS key, timestamp AS ts, src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip,
    dest_port AS flow_dst_port, proto AS flow_proto, 'quic' AS flow_service, "quic.version" AS version, "quic.sni" AS sni,
    "quic.ja3.hash" AS ja3, "quic.ja4" AS ja4, "quic.ua" AS user_agent
FROM rows

-- into dhcp from dhcp
SELECT n, flow_id AS key, timestamp AS ts, src_ip AS flow_src_ip, src_port AS flow_src_port, dest_ip AS flow_dst_ip,
    dest_port AS flow_dst_port, proto AS flow_proto, 'dhcp' AS flow_service,
    upper(coalesce("dhcp.dhcp_type", "dhcp.type")) AS message, "dhcp.hostname" AS host_name, "dhcp.lease_time" AS lease,
    "dhcp.client_mac" AS client_mac, "dhcp.client_ip" AS client_ip, "dhcp.assigned_ip" AS assigned_ip, "dhcp.relay_ip" AS relay_ip,
    as_list("dhcp.routers") AS routers, as_list("dhcp.dns_servers") AS dns_servers, "dhcp.id" AS xid, '4' AS version
FROM rows

-- into arp from arp
SELECT n, timestamp AS ts, '' AS network, CASE "arp.opcode" WHEN 'request' THEN 1 WHEN 'reply' THEN 2 ELSE TRY_CAST("arp.opcode" AS INTEGER) END
    AS operation, "arp.src_mac" AS src_mac, "arp.src_ip" AS src_ip, "arp.dest_mac" AS dst_mac, "arp.dest_ip" AS dst_ip
FROM rows

-- into host_events from alert
SELECT n, timestamp AS ts, coalesce(in_iface, '') AS host, 'alert' AS kind,
    CASE "alert.severity" WHEN '1' THEN 'high' WHEN '2' THEN 'medium' WHEN '3' THEN 'low' ELSE 'info' END AS severity,
    "alert.signature" AS activity, "alert.action" AS result, TRY_CAST(CASE upper(proto) WHEN 'TCP' THEN '6' WHEN 'UDP' THEN '17'
        WHEN 'ICMP' THEN '1' WHEN 'IPV6-ICMP' THEN '58' WHEN 'SCTP' THEN '132' ELSE proto END AS INTEGER) AS proto,
    src_ip AS local_ip, src_port AS local_port, dest_ip AS remote_ip, dest_port AS remote_port,
    "alert.gid" || ':' || "alert.signature_id" || ':' || "alert.rev" AS message_id, "alert.category" AS detail
FROM rows
