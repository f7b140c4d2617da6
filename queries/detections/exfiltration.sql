/*
id: exfiltration
title: Far more sent than was usual
description: >
  A pair of hosts suddenly sends many times what it sent before, and far more than comes back; inside as well as to the
  outside. The measure is the pair's own earlier intervals: their median and median absolute deviation, which a few large ones
  do not shift. A pair without enough of a past is measured by what the pairs of its network send in an interval, and has to exceed that much further.
severity: medium
attack: [T1048, T1041, T1567]
parameters:
  interval: {type: duration, default: 10m, help: "how finely time is cut"}
  min_history: {type: integer, default: 4, help: "earlier intervals with traffic that make a baseline of one's own"}
  min_others: {type: integer, default: 3, help: "fewest intervals of all pairs of the network where there is none"}
  deviations: {type: number, default: 8.0, help: "how many robust standard deviations above the median"}
  times: {type: number, default: 5.0, help: "how many times the median of one's own past"}
  times_new: {type: number, default: 50.0, help: "how many times the network's median where there is no past"}
  asymmetry: {type: number, default: 3.0, help: "how many times what came back"}
  min_bytes: {type: integer, default: 100000, help: "what is too little to matter, bytes in an interval"}
columns:
  network: tenant scope
  basis: own (the pair's earlier intervals) or network (all pairs of the network)
  sent: payload bytes sent in the intervals concerned
  received: payload bytes that came back in them
  most: most sent in one interval
  usual: the baseline's median, bytes an interval
  deviation: its robust standard deviation, bytes (1.4826 times the median absolute deviation; a tenth of the median at least)
  history: earlier intervals of the pair
  intervals: intervals concerned
references:
  - "F. Hampel: The influence curve and its role in robust estimation, JASA 1974 (median absolute deviation)"
  - "MITRE ATT&CK TA0010 Exfiltration"
false_positives:
  - backups, replication and log shipping that begin or catch up
  - a first upload where the network otherwise only reads
  - data that is fetched by the other side is not seen here, since serving is what servers do
*/
WITH sent AS NOT MATERIALIZED (  -- read twice, a few columns each: keeping it would take the disk
    SELECT
        network, src_ip, dst_ip, ts, ts_end, flow_id,
        (epoch_us(ts) // ($interval * 1e6)::BIGINT) AS slot,
        coalesce(src_payload, src_bytes) AS up,
        coalesce(dst_payload, dst_bytes) AS down
    FROM flows
    WHERE
        proto IN (6, 17)
        AND NOT (dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                              AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB)
        AND NOT dst_addr >= '\xFF'::BLOB
),
slots AS (SELECT network, src_ip, dst_ip, slot, sum(up)::BIGINT AS up, sum(down)::BIGINT AS down FROM sent GROUP BY ALL),
large AS (SELECT DISTINCT network, src_ip, dst_ip FROM slots WHERE up >= $min_bytes AND up >= $asymmetry * down),
past AS (  -- each interval of such a pair beside those before it
    SELECT
        *,
        count(*) OVER w AS history,
        median(up) OVER w AS usual,
        mad(up) OVER w AS spread
    FROM slots SEMI JOIN large USING (network, src_ip, dst_ip)
    WINDOW w AS (PARTITION BY network, src_ip, dst_ip ORDER BY slot ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
all_pairs AS (
    SELECT network, count(*) AS n, median(up) AS usual, mad(up) AS spread
    FROM slots
    WHERE network IN (SELECT network FROM past WHERE history < $min_history)
    GROUP BY ALL
),
measured AS (
    SELECT
        p.network, p.src_ip, p.dst_ip, p.slot, p.up, p.down, p.history,
        p.history >= $min_history AS own,
        CASE WHEN p.history >= $min_history THEN p.usual ELSE a.usual END AS usual,
        CASE WHEN p.history >= $min_history THEN greatest(1.4826 * p.spread, 0.1 * p.usual, 1.0)
             ELSE greatest(1.4826 * a.spread, 0.1 * a.usual, 1.0) END AS deviation,
        CASE WHEN p.history >= $min_history THEN $times ELSE $times_new END AS times
    FROM past p LEFT JOIN all_pairs a ON a.network = p.network
    WHERE p.up >= $min_bytes AND p.up >= $asymmetry * p.down AND (p.history >= $min_history OR a.n >= $min_others)
),
beyond AS (SELECT * FROM measured WHERE up >= usual + $deviations * deviation AND up >= times * usual),
evidence AS (
    SELECT b.network, b.src_ip, b.dst_ip, min(s.ts) AS ts_first, max(s.ts_end) AS ts_last, list(s.flow_id ORDER BY s.ts, s.flow_id)[1:1000] AS flow_ids, count(*) AS flows
    FROM beyond b JOIN sent s USING (network, src_ip, dst_ip, slot)
    GROUP BY ALL
),
pairs AS (
    SELECT
        network, src_ip, dst_ip,
        sum(up)::BIGINT AS sent, sum(down)::BIGINT AS received, max(up) AS most,
        arg_max(usual, up) AS usual, arg_max(deviation, up) AS deviation, arg_max(history, up) AS history, arg_max(own, up) AS own,
        count(*) AS intervals
    FROM beyond
    GROUP BY ALL
)
SELECT
    p.src_ip || CASE WHEN p.network = '' THEN '' ELSE ' in ' || p.network END AS subject,
    p.dst_ip AS object,
    CASE WHEN own THEN 0.6 ELSE 0.4 END + 0.4 * least(1.0, log10(most / greatest(usual, 1.0)) / 3) AS score,
    e.ts_first,
    e.ts_last,
    e.flow_ids,
    e.flows,
    format(
        '{} sent {:,} bytes to {} in {:.0f} min and got {:,} back; {} sent {:,} as a rule (median of {:,} intervals), so this is {:,} times as much',
        p.src_ip, most, p.dst_ip, $interval / 60, received,
        CASE WHEN own THEN 'before it' ELSE 'pairs of its network' END,
        usual::BIGINT, CASE WHEN own THEN history ELSE (SELECT any_value(n) FROM all_pairs a WHERE a.network = p.network) END,
        (most / greatest(usual, 1.0))::BIGINT
    ) AS why,
    CASE WHEN own THEN 'high' ELSE 'medium' END AS severity,
    p.network,
    CASE WHEN own THEN 'own' ELSE 'network' END AS basis,
    sent,
    received,
    most,
    usual,
    deviation,
    history,
    intervals
FROM pairs p JOIN evidence e USING (network, src_ip, dst_ip)
ORDER BY score DESC, sent DESC, subject, object
