/*
id: workload_pairs
title: Which workloads talked to each other
description: >
  One row per pair of workloads, the originator's first, over the conversations of which both ends have a name; each
  conversation counts once, however many sensors saw it. A workload is what its uid says, whatever addresses it had.
columns:
  src_uid: originator, what its manager calls it for ever
  src_namespace: its namespace
  src_name: its name
  src_kind: pod, vm, container, host, node, service, nat or name (of DNS)
  src_labels: its labels, a JSON object
  dst_uid: responder, what its manager calls it for ever
  dst_namespace: its namespace
  dst_name: its name
  dst_kind: pod, vm, container, host, node, service, nat or name (of DNS)
  dst_labels: its labels, a JSON object
  flows: conversations between them
  bytes: IP bytes both ways
  first: first packet, UTC
  last: last packet, UTC
  services: application protocols seen, comma separated; where none was recognised the protocol and port
*/
WITH talked AS (
    SELECT i.src_wid, i.dst_wid, count(*) AS flows, sum(c.src_bytes + c.dst_bytes) AS bytes, min(c.ts) AS first,
        max(c.ts_end) AS last,
        list(DISTINCT coalesce(c.service, c.proto_name || coalesce('/' || c.dst_port, ''))) AS services
    FROM flow_identity i JOIN conversations c ON c.conversation_id = i.flow_id
    WHERE i.src_wid IS NOT NULL AND i.dst_wid IS NOT NULL
    GROUP BY i.src_wid, i.dst_wid
)
SELECT
    s.uid AS src_uid,
    max_by(s.namespace, t.last) AS src_namespace,
    max_by(s.name, t.last) AS src_name,
    max_by(s.kind, t.last) AS src_kind,
    max_by(s.labels, t.last) AS src_labels,
    d.uid AS dst_uid,
    max_by(d.namespace, t.last) AS dst_namespace,
    max_by(d.name, t.last) AS dst_name,
    max_by(d.kind, t.last) AS dst_kind,
    max_by(d.labels, t.last) AS dst_labels,
    CAST(sum(t.flows) AS BIGINT) AS flows,
    CAST(sum(t.bytes) AS BIGINT) AS bytes,
    min(t.first) AS first,
    max(t.last) AS last,
    array_to_string(list_sort(list_distinct(flatten(list(t.services)))), ',') AS services
FROM talked t
JOIN workloads s ON s.workload_id = t.src_wid
JOIN workloads d ON d.workload_id = t.dst_wid
GROUP BY s.uid, d.uid
