/*
id: ecs_flow
title: Flows in the Elastic Common Schema
description: >
  One row per row of flows under ECS field names. MAC addresses are written as ECS asks (upper case,
  hyphens), event.duration is in nanoseconds. The originator is source and client, the responder
  destination and server.
columns:
  "@timestamp": first packet, UTC
  event.id: the flow_id
  event.kind: always event
  event.category: always network
  event.type: start, end, or both as connection
  event.start: first packet, UTC
  event.end: last packet, UTC; null while the flow is open
  event.duration: nanoseconds
  source.ip: originator's address
  source.port: originator's port
  source.mac: originator's MAC
  source.bytes: IP bytes from the originator
  source.packets: packets from the originator
  destination.ip: responder's address
  destination.port: responder's port
  destination.mac: responder's MAC
  destination.bytes: IP bytes from the responder
  destination.packets: packets from the responder
  network.type: ipv4 or ipv6
  network.iana_number: protocol number as text
  network.transport: protocol keyword
  network.protocol: application protocol seen
  network.bytes: IP bytes of both directions
  network.packets: packets of both directions
  network.community_id: Community ID v1
  network.vlan.id: first tag as text
  network.inner.vlan.id: second tag as text
  observer.name: sensor
*/
SELECT
    ts AS "@timestamp",
    CAST(flow_id AS VARCHAR) AS "event.id",
    'event' AS "event.kind",
    'network' AS "event.category",
    CASE WHEN end_reason IS NULL THEN 'start' ELSE 'connection' END AS "event.type",
    ts AS "event.start",
    CASE WHEN end_reason IS NOT NULL THEN ts_end END AS "event.end",
    (epoch_us(ts_end) - epoch_us(ts)) * 1000 AS "event.duration",
    src_ip AS "source.ip",
    CASE WHEN proto NOT IN (1, 58) THEN src_port END AS "source.port",
    upper(replace(src_mac, ':', '-')) AS "source.mac",
    src_bytes AS "source.bytes",
    src_pkts AS "source.packets",
    dst_ip AS "destination.ip",
    CASE WHEN proto NOT IN (1, 58) THEN dst_port END AS "destination.port",
    upper(replace(dst_mac, ':', '-')) AS "destination.mac",
    dst_bytes AS "destination.bytes",
    dst_pkts AS "destination.packets",
    CASE WHEN src_ip LIKE '%:%' THEN 'ipv6' WHEN src_ip IS NOT NULL THEN 'ipv4' END AS "network.type",
    CAST(proto AS VARCHAR) AS "network.iana_number",
    proto_name AS "network.transport",
    service AS "network.protocol",
    src_bytes + dst_bytes AS "network.bytes",
    src_pkts + dst_pkts AS "network.packets",
    community_id AS "network.community_id",
    CAST(vlan AS VARCHAR) AS "network.vlan.id",
    CAST(inner_vlan AS VARCHAR) AS "network.inner.vlan.id",
    sensor AS "observer.name"
FROM flows
