/*
id: long-connection
title: A connection that lasts for hours
description: >
  Tunnels, remote shells and command channels hold one connection open for hours. The score is RITA's: 1, 4, 8 and 12 hours
  are 0.2, 0.4, 0.6 and 0.8, with straight lines between. Connections that are still open count as long as they have lasted.
severity: low
attack: [T1571, T1572, T1071]
parameters:
  scale: {type: number, default: 1.0, help: "what the four thresholds are multiplied by; 0.1 makes them 6, 24, 48 and 72 minutes"}
  min_score: {type: number, default: 0.2, help: "findings below this score are left out"}
columns:
  network: tenant scope
  service: port and protocol
  longest: the longest connection, seconds
  total: all connections of the pair at this port together, seconds
  open: connections that had not ended where the capture ends
  src_payload: payload bytes from the originator
  dst_payload: payload bytes from the responder
references:
  - "RITA, long connections: analysis and default configuration (1, 4, 8, 12 hours)"
false_positives:
  - database pools, message queues, storage and cluster heartbeats, which stay connected on purpose
  - an administrator's ssh session that is left open
*/
WITH lasting AS (
    SELECT
        network, src_ip, dst_ip, proto_name || '/' || dst_port AS service, ts, ts_end, flow_id, src_payload, dst_payload,
        end_reason IS NULL OR end_reason = 4 AS open,  -- not ended, or cut off by the end of the capture
        greatest(duration, (epoch_us(ts_end) - epoch_us(ts)) / 1e6) AS seconds
    FROM flows
    WHERE
        proto IN (6, 17, 132)
        AND greatest(duration, (epoch_us(ts_end) - epoch_us(ts)) / 1e6) >= 3600 * $scale
        AND NOT (dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                              AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB)
        AND NOT dst_addr >= '\xFF'::BLOB
),
pairs AS (
    SELECT
        network, src_ip, dst_ip, service,
        max(seconds) AS longest,
        max(seconds) / (3600 * $scale) AS hours,
        sum(seconds) AS total,
        count(*) AS flows,
        count(*) FILTER (open) AS open,
        sum(coalesce(src_payload, 0))::BIGINT AS src_payload,
        sum(coalesce(dst_payload, 0))::BIGINT AS dst_payload,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last,
        list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids
    FROM lasting
    GROUP BY ALL
),
scored AS (
    SELECT
        *,
        CASE
            WHEN hours >= 12 THEN 0.8
            WHEN hours >= 8 THEN 0.6 + 0.2 * (hours - 8) / 4
            WHEN hours >= 4 THEN 0.4 + 0.2 * (hours - 4) / 4
            ELSE 0.2 + 0.2 * (hours - 1) / 3
        END AS score
    FROM pairs
)
SELECT
    src_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    dst_ip || ' ' || service AS object,
    score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format(
        '{} kept a connection to {} ({}) for {}{}; {:,} bytes went out and {:,} came back{}',
        src_ip, dst_ip, service,
        CASE
            WHEN longest < 600 THEN format('{:.0f} s', longest)
            WHEN longest < 7200 THEN format('{:.0f} min', longest / 60)
            ELSE format('{:.1f} h', longest / 3600)
        END,
        CASE WHEN flows > 1 THEN format(', the longest of {:,}', flows) ELSE '' END,
        src_payload, dst_payload,
        CASE WHEN open > 0 THEN '; it had not ended when the recording did' ELSE '' END
    ) AS why,
    CASE WHEN score >= 0.8 THEN 'medium' WHEN score >= 0.4 THEN 'low' ELSE 'info' END AS severity,
    network,
    service,
    longest,
    total,
    open,
    src_payload,
    dst_payload
FROM scored
WHERE score >= $min_score
ORDER BY score DESC, longest DESC, subject, object
