/*
id: flow_claimants
title: Who claims the ends of flows
description: >
  One row per flow, end and claimant: everybody who claimed the address when the flow began, as strongly as anybody did. Where
  an end has several nobody knows which of them it was; table claims has the evidence of each. Where more than eight claim an
  address they are one row of kind many.
columns:
  flow_id: row of flows
  ts: first packet, UTC
  side: src or dst
  ip: the address of that end
  claimants: how many claim it
  uid: what the claimant's manager calls it for ever
  name: its name
  namespace: namespace, project or tenant that the name is in
  kind: pod, vm, container, host, node, service, nat, name (of DNS) or many
  node: machine that it ran on
  labels: JSON object of text to text
  network: tenant scope of the claim; null where it holds in any
  origin: origins of its claims, comma separated
  confidence: how strong they are, 0 to 1
*/
WITH ends AS (
    SELECT f.flow_id, f.ts, 'src' AS side, f.src_ip AS ip, f.src_hi AS hi, f.src_lo AS lo, f.network, i.src_claimants AS n
    FROM flow_identity i JOIN flows f ON f.flow_id = i.flow_id WHERE i.src_claimants > 0
    UNION ALL
    SELECT f.flow_id, f.ts, 'dst', f.dst_ip, f.dst_hi, f.dst_lo, f.network, i.dst_claimants
    FROM flow_identity i JOIN flows f ON f.flow_id = i.flow_id WHERE i.dst_claimants > 0
), claimed AS (
    SELECT e.flow_id, e.ts, e.side, e.ip, e.n, w.uid, w.name, w.namespace, w.kind, w.node, w.labels, w.network, w.origin,
        w.confidence,
        rank() OVER (PARTITION BY e.flow_id, e.side ORDER BY w.confidence DESC, w.network IS NULL) AS place
    FROM ends e JOIN workloads w
        ON w.hi = e.hi AND w.lo = e.lo AND (w.network IS NULL OR w.network = e.network)
        AND (w.ts_from IS NULL OR w.ts_from <= e.ts) AND (w.ts_to IS NULL OR w.ts_to > e.ts)
)
SELECT flow_id, ts, side, ip, CAST(n AS INTEGER) AS claimants, uid, name, namespace, kind, node, labels, network, origin, confidence
FROM claimed WHERE place = 1
