/*
id: hops
title: Each sighting of a conversation, along its way
description: >
  One row per sensor that saw a conversation which several saw (table links, cause sensor), in the order of time by one clock
  (docs/sensors.md). Between one hop and the one before, nearer to the originator by that clock: how long packets took, as far as
  the clocks are known and by round trips, which need no clock; and how many packets one saw that the other did not. A sensor
  that saw fewer may have lost them itself. Sampled sightings have no losses.
columns:
  conversation_id: flow_id of the flow that stands for the conversation
  hop: counts from 1, by `seen`
  flow_id: row of flows
  source_id: row of sources
  sensor: observation point
  network: tenant scope there
  tunnel: tunnels around it there
  outer_src_ip: tunnel endpoint on the originator's side
  outer_dst_ip: tunnel endpoint on the responder's side
  seen: first packet by the reference clock, UTC
  clock_error_us: how far off that may be, microseconds
  src_pkts: packets from the originator
  dst_pkts: packets from the responder
  lost_there: packets from the originator that the hop before saw and this one did not; below 0, the other way round
  lost_back: packets from the responder that this hop saw and the one before did not
  latency_us: first packet here minus at the hop before, microseconds
  latency_error_us: how far off that may be; where it is above the latency, only the round trip tells the order
  round_trip_us: from the hop before to this one and back, by TCP's opening as both saw it, microseconds; above 0 the order is certain, below 0 it is wrong
  retransmits: TCP segments sent again, as seen here
*/
WITH told AS (
    SELECT
        source_id,
        coalesce(clock_offset_us, 0) AS ahead,
        coalesce(clock_error_us, 0) AS error,
        coalesce(clock_drift_ppm, 0) / CAST(1000000 AS DOUBLE) AS drift,
        epoch_us(clock_at) AS since
    FROM sources
), sights AS (
    SELECT
        l.conversation_id,
        f.flow_id,
        f.source_id,
        f.sensor,
        f.network,
        f.tunnel,
        f.outer_src_ip,
        f.outer_dst_ip,
        f.ts - to_microseconds(CAST(t.ahead + coalesce((epoch_us(f.ts) - t.since) * t.drift, 0) AS BIGINT)) AS seen,
        t.error AS clock_error_us,
        f.src_pkts,
        f.dst_pkts,
        f.sampling,
        f.rtt_us,
        f.retransmits
    FROM links l JOIN flows f ON f.flow_id = l.flow_id JOIN told t ON t.source_id = f.source_id
    WHERE l.cause = 'sensor'
)
SELECT
    conversation_id,
    CAST(row_number() OVER w AS INTEGER) AS hop,
    flow_id,
    source_id,
    sensor,
    network,
    tunnel,
    outer_src_ip,
    outer_dst_ip,
    seen,
    clock_error_us,
    src_pkts,
    dst_pkts,
    CASE WHEN sampling = 1 AND lag(sampling) OVER w = 1 THEN lag(src_pkts) OVER w - src_pkts END AS lost_there,
    CASE WHEN sampling = 1 AND lag(sampling) OVER w = 1 THEN dst_pkts - lag(dst_pkts) OVER w END AS lost_back,
    epoch_us(seen) - lag(epoch_us(seen)) OVER w AS latency_us,
    clock_error_us + lag(clock_error_us) OVER w AS latency_error_us,
    lag(CAST(rtt_us AS BIGINT)) OVER w - rtt_us AS round_trip_us,
    retransmits
FROM sights
WINDOW w AS (PARTITION BY conversation_id ORDER BY seen, flow_id)
