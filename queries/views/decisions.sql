/*
id: decisions
title: What devices decided on flows
description: >
  One row per flow and telling: what a device said it did with the flow, from the flow's own telemetry (origin telemetry), or
  learned apart from it: from rules that tell, from logs (table verdicts). Flows of which nobody told are not here.
columns:
  flow_id: row of flows
  ts: when it was decided, or told, UTC
  verdict: allow, deny or reject
  rule_id: policy/rule, or the number that telemetry names
  origin: how it was told
  target: the target that said so, as settings name it
  digest: SHA-256 of the bundle that was in force there
  packets: packets that it was told of
*/
SELECT flow_id, ts, verdict, rule_id, origin, target, digest, packets FROM verdicts
UNION ALL
SELECT flow_id, ts_end, verdict, rule_id, 'telemetry', NULL, NULL, NULL FROM flows WHERE verdict IS NOT NULL OR rule_id IS NOT NULL
