/*
id: zeek
title: Zeek logs
description: >
  Logs of Zeek in its text form or as JSON. conn.log becomes flows; what dns, ssl, http, ssh, smb, dce_rpc, kerberos, ntlm, rdp, ntp
  and dhcp logs say joins them by uid, where both are in one import. A uid that no conn.log has makes a flow of its own, without
  counts. A row of smb_mapping or smb_files is an SMB command by what Zeek saw of it. Names of users are hashed.
input: zeek
recognise:
  - '\A\s*#separator[ \t]'
  - '\A(#[a-z_]+[ \t].*\n)*#fields\t'
  - '\A\s*(\[\s*)?\{.*"(_path|id\.orig_h|uids?)"\s*:'
nothing: ["-", "(empty)"]
times: ts is seconds since 1970, UTC, or ISO 8601 where Zeek writes JSON so; duration is seconds
stream: _path
fields: [_path, ts, uid, uids, id.orig_h, id.orig_p, id.resp_h, id.resp_p, proto, ip_proto, service, duration, orig_bytes, resp_bytes,
  conn_state, history, orig_pkts, orig_ip_bytes, resp_pkts, resp_ip_bytes, vlan, inner_vlan, orig_l2_addr, resp_l2_addr,
  community_id, query, qclass, qclass_name, qtype, qtype_name, rcode, rcode_name, AA, TC, RD, RA, answers, TTLs, trans_id, rtt,
  version, cipher, curve, server_name, resumed, established, last_alert, next_protocol, subject, issuer, issuer_subject,
  client_subject, not_valid_before, not_valid_after, ja3, ja3s, ja4, cert_chain_fps, cert_chain_fuids, trans_depth, method, host, uri,
  user_agent, request_body_len, response_body_len, status_code, resp_mime_types, orig_mime_types, client, server, hassh,
  hasshServer, kex_alg, host_key_alg, cipher_alg, mac_alg, auth_success, auth_attempts, path, share_type, native_file_system, action,
  name, size, named_pipe, endpoint, operation, request_type, success, error_msg, forwardable, renewable, username, hostname,
  domainname, server_nb_computer_name, server_dns_computer_name, cookie, security_protocol, result, client_name,
  keyboard_layout, client_build, mode, stratum, ref_id, num_exts, mac, assigned_ip, assigned_addr, lease_time, host_name, client_fqdn,
  msg_types, domain, client_addr, server_addr, requested_addr, server_software, client_software]
columns:
  key: uid, by which rows find their flow
  src_payload: orig_bytes, payload by sequence numbers
  src_bytes: orig_ip_bytes
  end_reason: 3 where conn_state tells of an end, else 1
references:
  - "Zeek, base/protocols/conn/main.zeek: conn.log; other logs in the main.zeek of their protocol"
  - "Zeek, base/frameworks/logging/writers/ascii.zeek: heads of the text form, unset and empty values"
*/
-- into flows from conn
SELECT n, uid AS key, ts, duration, "id.orig_h" AS src_ip, "id.orig_p" AS src_port, "id.resp_h" AS dst_ip, "id.resp_p" AS dst_port,
    coalesce(ip_proto, CASE WHEN proto = 'unknown_transport' THEN '255' ELSE proto END) AS proto,
    service_name(service) AS service, conn_state, history,
    orig_pkts AS src_pkts, resp_pkts AS dst_pkts, orig_ip_bytes AS src_bytes, resp_ip_bytes AS dst_bytes,
    orig_bytes AS src_payload, resp_bytes AS dst_payload, vlan, inner_vlan, orig_l2_addr AS src_mac, resp_l2_addr AS dst_mac,
    community_id,
    CASE WHEN conn_state IN ('SF', 'REJ', 'RSTO', 'RSTR', 'RSTOS0', 'RSTRH', 'SH', 'SHR') AND proto = 'tcp' THEN 3 ELSE 1 END AS end_reason
FROM rows

-- into dns from dns
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    coalesce(proto, 'udp') AS flow_proto, 'dns' AS flow_service,
    lower(query) AS query, coalesce(qtype_name, 'TYPE' || qtype) AS qtype,
    CASE qclass_name WHEN 'C_INTERNET' THEN 'IN' WHEN 'C_CHAOS' THEN 'CH' WHEN 'C_ANY' THEN 'ANY' ELSE qclass_name END AS qclass,
    rcode_name AS rcode, as_list(answers) AS answers, whole_numbers(as_list(TTLs)) AS ttls, in_micros(rtt) AS rtt_us, trans_id,
    CASE "id.resp_p" WHEN '5353' THEN 'mdns' WHEN '5355' THEN 'llmnr' WHEN '137' THEN 'nbns' ELSE 'dns' END AS kind,
    words(AA IN ('T', 'true'), 'aa', TC IN ('T', 'true'), 'tc', RD IN ('T', 'true'), 'rd', RA IN ('T', 'true'), 'ra') AS flags
FROM rows

-- into tls from ssl
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'tls' AS flow_service,
    CASE WHEN regexp_full_match(version, 'D?TLSv1[0-3]') THEN version[:-2] || '.' || version[-1:] ELSE version END AS version,
    server_name AS sni, next_protocol AS alpn, cipher, ja3, ja3s, ja4, subject AS cert_subject,
    coalesce(issuer, issuer_subject) AS cert_issuer, not_valid_before AS cert_not_before, not_valid_after AS cert_not_after,
    subject = coalesce(issuer, issuer_subject) AS cert_self_signed, client_subject AS client_cert_subject,
    CASE WHEN length(first_of(cert_chain_fps)) = 64 THEN first_of(cert_chain_fps) END AS cert_sha256,
    CASE WHEN coalesce(cert_chain_fps, cert_chain_fuids) IS NOT NULL
        THEN nullif(how_many(coalesce(cert_chain_fps, cert_chain_fuids)), 0) END AS cert_count,
    curve AS group_name, resumed, established, last_alert AS alert
FROM rows

-- into http from http
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'http' AS flow_service,
    method, host, regexp_replace(uri, '[?#].*', '') AS path, status_code AS status, first_of(resp_mime_types) AS content_type,
    first_of(orig_mime_types) AS request_type, request_body_len AS src_body_bytes, response_body_len AS dst_body_bytes, user_agent,
    version, trans_depth AS number
FROM rows

-- into ssh from ssh
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'ssh' AS flow_service,
    client, server, hassh, hasshServer AS hassh_server, kex_alg AS kex, host_key_alg AS host_key, cipher_alg AS cipher,
    mac_alg AS mac, version, auth_success AS authenticated, auth_attempts AS attempts
FROM rows

-- into smb from smb_mapping
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'smb' AS flow_service,
    'TREE_CONNECT' AS command, path AS share, 1 AS count
FROM rows

-- into smb from smb_files
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'smb' AS flow_service,
    CASE WHEN action LIKE '%_OPEN' THEN 'CREATE' WHEN action LIKE '%_READ' THEN 'READ' WHEN action LIKE '%_WRITE' THEN 'WRITE'
        WHEN action LIKE '%_CLOSE' THEN 'CLOSE' ELSE 'SET_INFO' END AS command,
    path AS share, CASE WHEN action LIKE 'SMB::PIPE_%' THEN name END AS pipe, 1 AS count
FROM rows

-- into dcerpc from dce_rpc
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'dcerpc' AS flow_service,
    endpoint AS interface, operation, CASE WHEN NOT regexp_full_match(named_pipe, '[0-9]+') THEN named_pipe END AS pipe,
    CASE WHEN rtt IS NOT NULL THEN 'answered' END AS result, 1 AS count
FROM rows

-- into kerberos from kerberos
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    CASE WHEN proto = 'udp' THEN 'udp' ELSE 'tcp' END AS flow_proto, 'kerberos' AS flow_service,
    coalesce(request_type, 'AP') AS type, error_msg AS error, service, regexp_extract(client, '/([^/]*)$', 1) AS realm,
    regexp_replace(client, '/[^/]*$', '') AS client_hash, cipher AS ticket_etype,
    words(forwardable IN ('T', 'true'), 'forwardable', renewable IN ('T', 'true'), 'renewable', false, '', false, '') AS options,
    coalesce(success, error_msg) IS NOT NULL AS answered
FROM rows

-- into ntlm from ntlm
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'ntlm' AS flow_service,
    domainname AS domain, hostname AS host, username AS user_hash,
    coalesce(server_nb_computer_name, server_dns_computer_name) AS server_name, success,
    CASE "id.resp_p" WHEN '445' THEN 'smb' WHEN '139' THEN 'smb' WHEN '135' THEN 'dcerpc' WHEN '389' THEN 'ldap' END AS carrier
FROM rows

-- into rdp from rdp
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'tcp' AS flow_proto, 'rdp' AS flow_service,
    cookie AS cookie_hash, lower(security_protocol) AS selected, client_name
FROM rows

-- into ntp from ntp
SELECT n, uid AS key, ts,
    "id.orig_h" AS flow_src_ip, "id.orig_p" AS flow_src_port, "id.resp_h" AS flow_dst_ip, "id.resp_p" AS flow_dst_port,
    'udp' AS flow_proto, 'ntp' AS flow_service,
    coalesce(version, '4') AS version,
    CASE mode WHEN '3' THEN 'client' WHEN '4' THEN 'server' WHEN '5' THEN 'broadcast' WHEN '6' THEN 'control' WHEN '7' THEN 'private'
        ELSE 'symmetric' END AS mode, stratum, ref_id AS reference, 1 AS count, CASE WHEN mode = '4' THEN 1 ELSE 0 END AS answers
FROM rows

-- into dhcp from dhcp
WITH told AS (
    SELECT *, CASE WHEN msg_types IS NULL THEN ['ACK'] ELSE string_split(as_list(msg_types), ',') END AS messages FROM rows
)
SELECT n, coalesce(uid, first_of(uids)) AS key, ts, coalesce("id.orig_h", client_addr, '0.0.0.0') AS flow_src_ip,
    coalesce("id.orig_p", '68') AS flow_src_port, coalesce("id.resp_h", server_addr, '255.255.255.255') AS flow_dst_ip,
    coalesce("id.resp_p", '67') AS flow_dst_port, 'udp' AS flow_proto, 'dhcp' AS flow_service,
    upper(unnest(messages)) AS message, coalesce(host_name, string_split(client_fqdn, '.')[1]) AS host_name, lease_time AS lease,
    mac AS client_mac, coalesce(client_addr, requested_addr) AS client_ip, coalesce(assigned_addr, assigned_ip) AS assigned_ip,
    coalesce(server_addr, "id.resp_h") AS server_ip, domain, trans_id AS xid, '4' AS version
FROM told
