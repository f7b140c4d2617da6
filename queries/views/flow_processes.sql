/*
id: flow_processes
title: Which process was at an end of a flow
description: >
  One row per flow, end and process that an agent on a DPU saw inside the host (host_events): its connection is the flow's, by both
  addresses, both ports and the protocol, at a time no more than five minutes away from the flow, since agents look every so often.
  A process that listens is joined by its own address and port, where it names one. Events without a time are joined by their
  ends alone; timed says whether any had one. Ports are used again: ask for host, too, where several rows answer.
columns:
  flow_id: row of flows
  side: src or dst
  host: the host or workload, as the agent names it
  uid: the workload's unique id, where told
  process: name of the process
  pid: its id
  sha256: of its executable
  command_hash: of its command line, under the case's key
  conn_state: state of the connection, as the host last had it
  events: events of that connection
  ts_first: first of them, UTC
  ts_last: last of them, UTC
  timed: whether any of them has a time
*/
WITH seen AS (
    SELECT *, coalesce(upper(conn_state) LIKE 'LISTEN%', false) AS listens
    FROM host_events
    WHERE local_ip IS NOT NULL AND local_port IS NOT NULL AND (process IS NOT NULL OR pid IS NOT NULL)
), met AS (
    SELECT f.flow_id, 'src' AS side, e.*
    FROM flows f JOIN seen e
        ON e.local_ip = f.src_ip AND e.local_port = f.src_port AND e.remote_ip = f.dst_ip AND e.remote_port = f.dst_port
    WHERE coalesce(e.proto, f.proto) = f.proto AND (e.ts IS NULL OR e.ts BETWEEN f.ts - to_minutes(5) AND f.ts_end + to_minutes(5))
    UNION ALL
    SELECT f.flow_id, 'dst', e.*
    FROM flows f JOIN seen e
        ON e.local_ip = f.dst_ip AND e.local_port = f.dst_port AND e.remote_ip = f.src_ip AND e.remote_port = f.src_port
    WHERE coalesce(e.proto, f.proto) = f.proto AND (e.ts IS NULL OR e.ts BETWEEN f.ts - to_minutes(5) AND f.ts_end + to_minutes(5))
), heard AS (
    SELECT f.flow_id, 'dst' AS side, e.*
    FROM flows f JOIN seen e ON e.local_ip = f.dst_ip AND e.local_port = f.dst_port AND e.listens
    WHERE coalesce(e.proto, f.proto) = f.proto AND (e.ts IS NULL OR e.ts BETWEEN f.ts - to_minutes(5) AND f.ts_end + to_minutes(5))
        AND (e.remote_ip IS NULL OR e.remote_ip IS DISTINCT FROM f.src_ip OR e.remote_port IS DISTINCT FROM f.src_port)
), found AS (
    SELECT * FROM met UNION ALL SELECT * FROM heard
)
SELECT
    flow_id,
    side,
    host,
    max(uid) AS uid,
    process,
    pid,
    max(sha256) AS sha256,
    max(command_hash) AS command_hash,
    arg_max(conn_state, ts) AS conn_state,
    count(*) AS events,
    min(ts) AS ts_first,
    max(ts) AS ts_last,
    bool_or(ts IS NOT NULL) AS timed
FROM found
GROUP BY flow_id, side, host, process, pid
