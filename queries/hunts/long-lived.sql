/*
id: long-lived
title: Flows that last
description: >
  The longest flows of the case, and those that are still open where it ends. Tunnels, remote shells and command channels
  hold one connection; so do databases, which is why the rate and the direction of the bytes stand beside.
kind: hunt
attack: [T1572, T1571]
parameters:
  least: {type: duration, default: 10m, help: shortest duration}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  flow_id: the flow
  network: tenant scope
  src_ip: originator
  dst_ip: responder
  proto_name: protocol
  dst_port: responder's port
  ts: first packet, UTC
  seconds: from the first packet to the last
  open: whether it had not ended where the recording does
  src_payload: payload bytes from the originator
  dst_payload: payload bytes from the responder
  bytes_per_second: both directions together
references:
  - "RITA, long connections"
false_positives:
  - database pools, message queues, storage, cluster heartbeats
  - an administrator's session that is left open
*/
SELECT
    flow_id, network, src_ip, dst_ip, proto_name, dst_port, ts,
    (epoch_us(ts_end) - epoch_us(ts)) / 1e6 AS seconds,
    end_reason IS NULL OR end_reason = 4 AS open,
    src_payload, dst_payload,
    (src_bytes + dst_bytes) * sampling * 1e6 / greatest(epoch_us(ts_end) - epoch_us(ts), 1) AS bytes_per_second
FROM flows
WHERE epoch_us(ts_end) - epoch_us(ts) >= $least * 1e6
ORDER BY seconds DESC, flow_id
LIMIT $rows
