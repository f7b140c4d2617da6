/*
id: scan-vertical
title: One source tries many ports of a host
description: >
  Threshold random walk over the ports of a host. Each port that a source tries for the first time at a host is one step
  of a walk: a port that answers moves it down, one that is closed or silent moves it up. A client knows the ports it
  needs; somebody who tries ports to see what runs there mostly finds them closed.
severity: medium
attack: [T1046]
parameters:
  theta0: {type: number, default: 0.8, help: "share of first contacts that succeed where nobody scans"}
  theta1: {type: number, default: 0.2, help: "share of first contacts that succeed for a scanner"}
  alpha: {type: number, default: 0.01, help: "wanted probability of calling a harmless source a scanner"}
  beta: {type: number, default: 0.99, help: "wanted probability of finding a scanner"}
  min_failed: {type: integer, default: 8, help: "fewest ports that were closed or silent"}
  restart: {type: integer, default: 1, help: "1 lets the walk begin again after a source was found harmless; 0 judges each pair once"}
columns:
  network: tenant scope
  ports: ports tried for the first time in the walk's rise
  failed: those of them that refused or did not answer
  answered: those of them that answered
  open_ports: the first twenty ports that answered
  llr: the walk's highest rise, natural logarithm of the likelihood ratio
  from_start: whether the very first contacts decided it, so that the classical walk finds it too
references:
  - "J. Jung, V. Paxson, A. Berger, H. Balakrishnan: Fast Portscan Detection Using Sequential Hypothesis Testing, IEEE S&P 2004"
  - "S. Schechter, J. Jung, A. Berger: Fast Detection of Scanning Worm Infections, RAID 2004"
  - "SiLK rwscan, threshold random walk"
false_positives:
  - vulnerability scanners and inventory programs that scan on purpose
  - traceroute over UDP, which tries a new port with each packet
  - a capture that holds only one direction
*/
-- The walk is that of scan-horizontal, over the ports of one host instead of over hosts; its comments say why it is a
-- running sum, why its restarting form is S_n - min(0, S_1, ..., S_n), and why that form's threshold grows with ln(n).
WITH attempts AS (
    SELECT
        network, src_ip, dst_ip, proto, dst_port, ts, flow_id,
        CASE  -- 0 answered, 1 failed (closed, silent, a FIN of no connection), 2 one-way UDP: looked at again below
            WHEN proto = 6
                THEN (
                    conn_state IN ('S0', 'REJ', 'RSTOS0', 'SH')
                    OR (conn_state IN ('RSTR', 'RSTRH') AND coalesce(dst_payload, 0) = 0 AND NOT contains(coalesce(history, ''), 'h'))
                )::INTEGER
            WHEN dst_pkts > 0 THEN 0
            ELSE 2
        END AS how
    FROM flows
    WHERE
        src_pkts > 0
        AND (
            (proto = 6 AND conn_state NOT IN ('OTH', 'SHR'))  -- connections seen from the middle tell nothing
            OR (proto = 17 AND NOT (dst_pkts = 0 AND src_port < 1024 AND dst_port >= 1024))  -- answers without their question
        )
        -- multicast and broadcast are not answered by their address
        AND NOT (dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                              AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB)
        AND NOT dst_addr >= '\xFF'::BLOB
        AND NOT (proto = 17 AND dst_ip LIKE '%.255')
),
suspects AS (  -- a pair that cannot reach min_failed need not be walked: this changes no result, it saves the sort
    SELECT network, src_ip, dst_ip FROM attempts WHERE how > 0 GROUP BY ALL HAVING count(*) >= $min_failed
),
first_flows AS (  -- the first flow to a port, by time, then number, and how it went, in one number as in scan-horizontal
    SELECT
        network, src_ip, dst_ip, proto, dst_port,
        min(epoch_us(ts)::HUGEINT * 36893488147419103232 + flow_id::HUGEINT * 4 + how) AS k
    FROM attempts SEMI JOIN suspects USING (network, src_ip, dst_ip)
    GROUP BY ALL
),
one_way AS (SELECT DISTINCT network, src_ip, dst_ip, dst_port FROM flows WHERE proto = 17 AND dst_pkts = 0),
contacts AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, f.proto, f.dst_port,
        (k // 36893488147419103232)::BIGINT AS us,
        (k % 36893488147419103232 // 4)::BIGINT AS flow_id,
        -- protocols whose every direction is a flow of its own (RoCEv2, VXLAN) are answered in another flow
        k % 4 = 1 OR (k % 4 = 2 AND b.src_ip IS NULL) AS failed
    FROM first_flows f
    LEFT JOIN one_way b
        ON k % 4 = 2 AND b.network = f.network AND b.src_ip = f.dst_ip AND b.dst_ip = f.src_ip AND b.dst_port = f.dst_port
),
counted AS (
    SELECT
        *,
        row_number() OVER w AS n,
        count(*) FILTER (failed) OVER w AS f
    FROM contacts
    WINDOW w AS (PARTITION BY network, src_ip, dst_ip ORDER BY us, proto, dst_port ROWS UNBOUNDED PRECEDING)
),
summed AS (
    SELECT *, f * ln((1 - $theta1) / (1 - $theta0)) + (n - f) * ln($theta1 / $theta0) AS s FROM counted
),
walked AS (
    SELECT
        *,
        s - least(0.0, min(s) OVER (PARTITION BY network, src_ip, dst_ip ORDER BY n ROWS UNBOUNDED PRECEDING)) AS c
    FROM summed
),
judged AS (
    SELECT
        network, src_ip, dst_ip, max(c) AS peak,
        coalesce(
            min(n) FILTER (s >= ln($beta / $alpha)) < coalesce(min(n) FILTER (s <= ln((1 - $beta) / (1 - $alpha))), 9223372036854775807),
            false
        ) AS from_start,
        coalesce(bool_or(c >= ln($beta / $alpha) + ln(n)), false) AS later
    FROM walked
    GROUP BY ALL
    HAVING from_start OR (later AND $restart <> 0)
),
rises AS (  -- from the walk's last lowest point to its peak: the stretch that is most like a scan
    SELECT w.*, j.peak, j.from_start, min(w.n) FILTER (w.c = j.peak) OVER p AS top
    FROM walked w JOIN judged j USING (network, src_ip, dst_ip)
    WINDOW p AS (PARTITION BY network, src_ip, dst_ip)
),
stretches AS (
    SELECT *, coalesce(max(n) FILTER (c = 0 AND n < top) OVER (PARTITION BY network, src_ip, dst_ip), 0) AS onset FROM rises
),
scans AS (
    SELECT
        s.* EXCLUDE (proto, dst_port), f.ts, f.ts_end, f.proto_name || '/' || f.dst_port AS service
    FROM stretches s JOIN flows f USING (flow_id)
    WHERE s.n > s.onset AND s.n <= s.top
)
SELECT
    src_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    dst_ip AS object,
    0.5 + 0.5 * least(1.0, count(*) FILTER (failed) / 50.0) AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
    count(*) AS flows,
    format(
        '{:,} of {:,} ports that {} first tried at {} within {} were closed or silent{}',
        count(*) FILTER (failed), count(*), src_ip, dst_ip,
        CASE
            WHEN epoch(max(ts)) - epoch(min(ts)) < 120 THEN format('{:.1f} s', epoch(max(ts)) - epoch(min(ts)))
            WHEN epoch(max(ts)) - epoch(min(ts)) < 7200 THEN format('{:.0f} min', (epoch(max(ts)) - epoch(min(ts))) / 60)
            ELSE format('{:.1f} h', (epoch(max(ts)) - epoch(min(ts))) / 3600)
        END,
        CASE WHEN count(*) FILTER (NOT failed) = 0 THEN '' ELSE format(', {:,} answered', count(*) FILTER (NOT failed)) END
    ) AS why,
    CASE WHEN count(*) FILTER (failed) >= 100 THEN 'high' ELSE 'medium' END AS severity,
    network,
    count(*) AS ports,
    count(*) FILTER (failed) AS failed,
    count(*) FILTER (NOT failed) AS answered,
    array_to_string(coalesce(list(service ORDER BY n) FILTER (NOT failed), [])[1:20], ', ') AS open_ports,
    any_value(peak) AS llr,
    any_value(from_start) AS from_start
FROM scans
GROUP BY network, src_ip, dst_ip
HAVING count(*) FILTER (failed) >= $min_failed
ORDER BY score DESC, subject, object
