/*
id: scan-horizontal
title: One source tries many hosts
description: >
  Threshold random walk over hosts. Each host that a source reaches for the first time is one step of a walk: a host
  that answers moves it down, one that refuses or stays silent moves it up. Somebody who knows the network mostly
  reaches hosts that answer, somebody who looks for hosts mostly does not. A source is a scanner when its walk passes
  the upper threshold. Hosts that were asked for by ARP and do not exist count too, so a sweep of one's own network is seen.
severity: medium
attack: [T1046, T1018]
parameters:
  theta0: {type: number, default: 0.8, help: "share of first contacts that succeed where nobody scans"}
  theta1: {type: number, default: 0.2, help: "share of first contacts that succeed for a scanner"}
  alpha: {type: number, default: 0.01, help: "wanted probability of calling a harmless source a scanner"}
  beta: {type: number, default: 0.99, help: "wanted probability of finding a scanner"}
  min_failed: {type: integer, default: 8, help: "fewest hosts that did not answer"}
  restart: {type: integer, default: 1, help: "1 lets the walk begin again after a source was found harmless; 0 judges each source once"}
columns:
  network: tenant scope
  service: what was tried at most hosts
  hosts: hosts reached for the first time in the walk's rise
  failed: those of them that refused or did not answer
  answered: those of them that answered
  llr: the walk's highest rise, natural logarithm of the likelihood ratio
  from_start: whether the source's very first contacts decided it, so that the classical walk finds it too
references:
  - "J. Jung, V. Paxson, A. Berger, H. Balakrishnan: Fast Portscan Detection Using Sequential Hypothesis Testing, IEEE S&P 2004"
  - "S. Schechter, J. Jung, A. Berger: Fast Detection of Scanning Worm Infections, RAID 2004"
  - "SiLK rwscan, threshold random walk"
false_positives:
  - monitoring and inventory programs that sweep on purpose
  - a client of many peers that are mostly gone, such as peer-to-peer programs
  - a gateway that asks by ARP for the hosts that somebody behind it scans
  - a capture that holds only one direction
*/
-- The walk (Jung et al., section 4): S_n = sum over the first n contacts of
--     ln((1 - theta1) / (1 - theta0))  where the contact failed, else  ln(theta1 / theta0);
-- it ends where S_n >= ln(beta / alpha) (scanner) or S_n <= ln((1 - beta) / (1 - alpha)) (harmless), whichever is
-- first. S_n depends on counts alone, so it is a running sum, and being absorbed means to look at the first crossing.
--
-- A container that worked for an hour and is broken into then would never be judged again, so (restart = 1) the walk may
-- begin anew at any contact: C_n = S_n - min(0, S_1, ..., S_n), which is CUSUM, and the same as the walk taken backwards
-- in time from n (Schechter et al., section 3). Each contact begins a test, so by the union bound the threshold for
-- the n-th is ln(beta / (alpha / n)) = ln(beta / alpha) + ln(n): alpha stays the error of a source, not of a start.
-- C_n >= S_n: what the classical walk finds is found as well, under its own threshold.
WITH attempts AS (
    SELECT
        network, src_ip, dst_ip, ts, flow_id,
        CASE  -- 0 answered, 1 failed (nobody there, refused, a FIN of no connection), 2 one-way UDP: looked at again below
            WHEN proto = 6
                THEN (
                    conn_state IN ('S0', 'REJ', 'RSTOS0', 'SH')
                    OR (conn_state IN ('RSTR', 'RSTRH') AND coalesce(dst_payload, 0) = 0 AND NOT contains(coalesce(history, ''), 'h'))
                )::INTEGER
            WHEN dst_pkts > 0 THEN 0
            WHEN proto = 17 THEN 2
            ELSE 1
        END AS how
    FROM flows
    WHERE
        src_pkts > 0
        AND (
            (proto = 6 AND conn_state NOT IN ('OTH', 'SHR'))  -- connections seen from the middle tell nothing
            OR (proto = 17 AND NOT (dst_pkts = 0 AND src_port < 1024 AND dst_port >= 1024))  -- answers without their question
            OR (proto = 1 AND src_port = 8)
            OR (proto = 58 AND src_port = 128)
        )
        -- multicast and broadcast are not answered by their address
        AND NOT (dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                              AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB)
        AND NOT dst_addr >= '\xFF'::BLOB
        AND NOT (proto = 17 AND dst_ip LIKE '%.255')
),
nobody AS (  -- asked for by ARP, never answered for by anybody
    SELECT a.network, a.src_ip, a.dst_ip, min(a.ts) AS ts
    FROM arp a
    WHERE
        a.operation = 1 AND a.src_ip <> a.dst_ip AND a.src_ip <> '0.0.0.0'
        AND NOT EXISTS (SELECT 1 FROM arp b WHERE b.network = a.network AND b.src_ip = a.dst_ip)
    GROUP BY ALL
),
suspects AS (  -- who cannot reach min_failed need not be walked: this changes no result, it saves the sort
    SELECT network, src_ip
    FROM (
        SELECT network, src_ip, count(*) AS failed FROM attempts WHERE how > 0 GROUP BY ALL
        UNION ALL
        SELECT network, src_ip, count(*) FROM nobody GROUP BY ALL
    )
    GROUP BY ALL
    HAVING sum(failed) >= $min_failed
),
first_flows AS (
    -- The first flow from a source to a host, by time, then number: both and how it went in one number, whose least is
    -- found without keeping rows. Times are below 2^52 us, numbers below 2^63.
    SELECT network, src_ip, dst_ip, min(epoch_us(ts)::HUGEINT * 36893488147419103232 + flow_id::HUGEINT * 4 + how) AS k
    FROM attempts SEMI JOIN suspects USING (network, src_ip)
    GROUP BY ALL
),
one_way AS (SELECT DISTINCT network, src_ip, dst_ip FROM flows WHERE proto = 17 AND dst_pkts = 0),
contacts AS (
    SELECT
        f.network, f.src_ip, f.dst_ip,
        (k // 36893488147419103232)::BIGINT AS us,
        (k % 36893488147419103232 // 4)::BIGINT AS flow_id,
        -- protocols whose every direction is a flow of its own (RoCEv2, VXLAN) are answered in another flow
        k % 4 = 1 OR (k % 4 = 2 AND b.src_ip IS NULL) AS failed
    FROM first_flows f
    LEFT JOIN one_way b ON k % 4 = 2 AND b.network = f.network AND b.src_ip = f.dst_ip AND b.dst_ip = f.src_ip
    UNION ALL
    SELECT network, src_ip, dst_ip, epoch_us(ts), NULL, true
    FROM nobody SEMI JOIN suspects USING (network, src_ip) ANTI JOIN first_flows USING (network, src_ip, dst_ip)
),
counted AS (
    SELECT
        *,
        row_number() OVER w AS n,
        count(*) FILTER (failed) OVER w AS f
    FROM contacts
    WINDOW w AS (PARTITION BY network, src_ip ORDER BY us, dst_ip ROWS UNBOUNDED PRECEDING)
),
summed AS (
    SELECT *, f * ln((1 - $theta1) / (1 - $theta0)) + (n - f) * ln($theta1 / $theta0) AS s FROM counted
),
walked AS (
    SELECT
        *,
        s - least(0.0, min(s) OVER (PARTITION BY network, src_ip ORDER BY n ROWS UNBOUNDED PRECEDING)) AS c
    FROM summed
),
judged AS (
    SELECT
        network, src_ip, max(c) AS peak,
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
    FROM walked w JOIN judged j USING (network, src_ip)
    WINDOW p AS (PARTITION BY network, src_ip)
),
stretches AS (
    SELECT *, coalesce(max(n) FILTER (c = 0 AND n < top) OVER (PARTITION BY network, src_ip), 0) AS onset FROM rises
),
scans AS (
    SELECT
        s.network, s.src_ip, s.dst_ip, s.failed, s.peak, s.from_start, s.flow_id,
        make_timestamp(s.us) AS ts,
        coalesce(f.ts_end, make_timestamp(s.us)) AS ts_end,
        CASE
            WHEN f.proto IS NULL THEN 'arp'
            WHEN f.proto IN (1, 58) THEN 'icmp/echo'
            ELSE f.proto_name || '/' || f.dst_port
        END AS service
    FROM stretches s LEFT JOIN flows f USING (flow_id)
    WHERE s.n > s.onset AND s.n <= s.top
),
services AS (
    SELECT network, src_ip, max({'n': n, 'service': service}).service AS service
    FROM (SELECT network, src_ip, service, count(*) AS n FROM scans GROUP BY ALL)
    GROUP BY ALL
)
SELECT
    src_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    any_value(service) AS object,
    0.5 + 0.5 * least(1.0, count(*) FILTER (failed) / 50.0) AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    coalesce(list(flow_id ORDER BY ts, flow_id) FILTER (flow_id IS NOT NULL)[1:1000], []) AS flow_ids,
    count(flow_id) AS flows,
    format(
        '{:,} of {:,} hosts that {} first reached within {} refused or did not answer, mostly at {}',
        count(*) FILTER (failed), count(*), src_ip,
        CASE
            WHEN epoch(max(ts)) - epoch(min(ts)) < 120 THEN format('{:.1f} s', epoch(max(ts)) - epoch(min(ts)))
            WHEN epoch(max(ts)) - epoch(min(ts)) < 7200 THEN format('{:.0f} min', (epoch(max(ts)) - epoch(min(ts))) / 60)
            ELSE format('{:.1f} h', (epoch(max(ts)) - epoch(min(ts))) / 3600)
        END,
        any_value(service)
    ) AS why,
    CASE WHEN count(*) FILTER (failed) >= 50 THEN 'high' ELSE 'medium' END AS severity,
    network,
    any_value(service) AS service,
    count(*) AS hosts,
    count(*) FILTER (failed) AS failed,
    count(*) FILTER (NOT failed) AS answered,
    any_value(peak) AS llr,
    any_value(from_start) AS from_start
FROM (SELECT s.* EXCLUDE (service), v.service FROM scans s JOIN services v USING (network, src_ip))
GROUP BY network, src_ip
HAVING count(*) FILTER (failed) >= $min_failed
ORDER BY score DESC, subject
