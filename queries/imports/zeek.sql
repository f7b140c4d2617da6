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
  - '\A\s*\{.*"(_path|id\.orig_h|uids?)"\s*:'
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
