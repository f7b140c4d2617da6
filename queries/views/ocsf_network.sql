/*
id: ocsf_network
title: Flows as OCSF Network Activity (class 4001)
description: >
  One row per row of flows, attributes of the OCSF class Network Activity by their dotted names, activity
  6 (Traffic). Times are milliseconds since 1970-01-01 UTC. "out" is what the originator sent.
columns:
  activity_id: always 6, Traffic
  category_uid: always 4, Network Activity
  class_uid: always 4001, Network Activity
  type_uid: class_uid * 100 + activity_id
  severity_id: always 1, Informational
  time: first packet, ms
  start_time: first packet, ms
  end_time: last packet, ms; null while the flow is open
  duration: ms
  metadata.uid: the flow_id
  src_endpoint.ip: originator's address
  src_endpoint.port: originator's port
  src_endpoint.mac: originator's MAC
  src_endpoint.vlan_uid: first tag as text
  dst_endpoint.ip: responder's address
  dst_endpoint.port: responder's port
  dst_endpoint.mac: responder's MAC
  connection_info.uid: the flow_id
  connection_info.community_uid: Community ID v1
  connection_info.protocol_num: IANA number
  connection_info.protocol_name: keyword
  connection_info.protocol_ver_id: 4 or 6
  connection_info.tcp_flags: flags of both directions, ORed
  connection_info.flag_history: Zeek's history letters
  connection_info.direction_id: always 0, Unknown
  traffic.bytes: IP bytes
  traffic.bytes_out: IP bytes from the originator
  traffic.bytes_in: IP bytes from the responder
  traffic.packets: packets
  traffic.packets_out: packets from the originator
  traffic.packets_in: packets from the responder
  app_name: application protocol seen
  device.name: sensor
*/
SELECT
    6 AS activity_id,
    4 AS category_uid,
    4001 AS class_uid,
    400106 AS type_uid,
    1 AS severity_id,
    epoch_ms(ts) AS "time",
    epoch_ms(ts) AS start_time,
    CASE WHEN end_reason IS NOT NULL THEN epoch_ms(ts_end) END AS end_time,
    epoch_ms(ts_end) - epoch_ms(ts) AS duration,
    CAST(flow_id AS VARCHAR) AS "metadata.uid",
    src_ip AS "src_endpoint.ip",
    CASE WHEN proto NOT IN (1, 58) THEN src_port END AS "src_endpoint.port",
    src_mac AS "src_endpoint.mac",
    CAST(vlan AS VARCHAR) AS "src_endpoint.vlan_uid",
    dst_ip AS "dst_endpoint.ip",
    CASE WHEN proto NOT IN (1, 58) THEN dst_port END AS "dst_endpoint.port",
    dst_mac AS "dst_endpoint.mac",
    CAST(flow_id AS VARCHAR) AS "connection_info.uid",
    community_id AS "connection_info.community_uid",
    proto AS "connection_info.protocol_num",
    proto_name AS "connection_info.protocol_name",
    CASE WHEN src_ip LIKE '%:%' THEN 6 WHEN src_ip IS NOT NULL THEN 4 END AS "connection_info.protocol_ver_id",
    src_flags | dst_flags AS "connection_info.tcp_flags",
    history AS "connection_info.flag_history",
    0 AS "connection_info.direction_id",
    src_bytes + dst_bytes AS "traffic.bytes",
    src_bytes AS "traffic.bytes_out",
    dst_bytes AS "traffic.bytes_in",
    src_pkts + dst_pkts AS "traffic.packets",
    src_pkts AS "traffic.packets_out",
    dst_pkts AS "traffic.packets_in",
    service AS app_name,
    sensor AS "device.name"
FROM flows
