/*
id: zeek_conn
title: Flows as Zeek's conn.log names them
description: >
  One row per row of flows, under the field names and with the meaning of Zeek's conn.log
  (base/protocols/conn/main.zeek, and the policy scripts that add VLAN tags, MAC addresses and the
  Community ID). As in Zeek, duration, orig_bytes and resp_bytes are null where the flow has a single
  moment, and ICMPv6 is proto icmp with ip_proto 58. What the case does not know is null: local_orig,
  local_resp, missed_bytes, tunnel_parents. A flow that is still open has no conn_state.
columns:
  ts: first packet, seconds since 1970-01-01 UTC
  uid: C and the flow_id
  id.orig_h: originator's address
  id.orig_p: originator's port; ICMP, type
  id.resp_h: responder's address
  id.resp_p: responder's port; ICMP, counterpart type or code
  proto: tcp, udp, icmp or unknown_transport
  service: application protocols seen
  duration: seconds
  orig_bytes: payload bytes from the originator
  resp_bytes: payload bytes from the responder
  conn_state: state
  local_orig: not known
  local_resp: not known
  missed_bytes: not known
  history: letters
  orig_pkts: packets from the originator
  orig_ip_bytes: IP bytes from the originator
  resp_pkts: packets from the responder
  resp_ip_bytes: IP bytes from the responder
  tunnel_parents: not known; the outer addresses are in flows
  ip_proto: IANA protocol number
  vlan: first tag
  inner_vlan: second tag
  orig_l2_addr: originator's MAC
  resp_l2_addr: responder's MAC
  community_id: Community ID v1
*/
SELECT
    epoch_us(ts) / CAST(1000000 AS DOUBLE) AS ts,
    'C' || flow_id AS uid,
    src_ip AS "id.orig_h",
    src_port AS "id.orig_p",
    dst_ip AS "id.resp_h",
    dst_port AS "id.resp_p",
    CASE proto WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 1 THEN 'icmp' WHEN 58 THEN 'icmp' ELSE 'unknown_transport' END AS proto,
    service,
    CASE WHEN duration > 0 THEN duration END AS duration,
    CASE WHEN duration > 0 THEN src_payload END AS orig_bytes,
    CASE WHEN duration > 0 THEN dst_payload END AS resp_bytes,
    conn_state,
    CAST(NULL AS BOOLEAN) AS local_orig,
    CAST(NULL AS BOOLEAN) AS local_resp,
    CAST(NULL AS BIGINT) AS missed_bytes,
    history,
    src_pkts AS orig_pkts,
    src_bytes AS orig_ip_bytes,
    dst_pkts AS resp_pkts,
    dst_bytes AS resp_ip_bytes,
    CAST(NULL AS VARCHAR) AS tunnel_parents,
    proto AS ip_proto,
    vlan,
    inner_vlan,
    src_mac AS orig_l2_addr,
    dst_mac AS resp_l2_addr,
    community_id
FROM flows
