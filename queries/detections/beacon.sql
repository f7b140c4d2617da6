/*
id: beacon
title: Regular calls
description: >
  A pair of hosts talks again and again at even pauses and with even sizes, as an implant does that asks for its orders.
  Two scores are computed from the same connections. RITA's, exactly, looks at the last 24 hours in 24 bins, so a
  container that lives for ten minutes fills one bin and cannot score above 0.5. Ours takes the same four parts, but its bins cover the
  pair's own lifetime, and pauses count in microseconds. The finding's score is ours; both are shown.
severity: medium
attack: [T1071, T1029, T1573]
parameters:
  min_connections: {type: integer, default: 12, help: "fewest connections of a pair"}
  min_score: {type: number, default: 0.8, help: "lowest score of a finding (ours)"}
  min_period: {type: duration, default: 1s, help: "shorter median pauses are no waiting, but bursts and scans"}
  window: {type: duration, default: 24h, help: "the end of the case that RITA's formula looks at"}
  ideal: {type: integer, default: 20, help: "connections from which on a steady pair is taken to be steady"}
columns:
  network: tenant scope
  connections: connections of the pair
  period: median pause between connections, seconds
  lifetime: first to last connection, seconds
  own_ts: "ours: evenness of pauses"
  own_ds: "ours: evenness of the originator's bytes"
  own_hist: "ours: evenness over the pair's lifetime"
  own_dur: "ours: longest run without an empty bin, and enough connections to tell"
  rita: RITA's score, null where its conditions are not met (4 different seconds, under 86,400 connections)
  rita_ts: "RITA: timestamp score"
  rita_ds: "RITA: data size score"
  rita_hist: "RITA: histogram score"
  rita_dur: "RITA: duration score"
  ports: responder's ports, at most five
references:
  - "RITA, analysis/beacons.go and default configuration: 0.25 each for timestamps, data sizes, duration, histogram"
  - "A. Bowley, Elements of Statistics (1920): quartile skewness"
false_positives:
  - monitoring, health checks, time synchronisation, update checks, which are beacons by intent
  - a person's page that refreshes itself
*/
-- Statistics (both): quartiles are medians of the lower and upper half without the middle one. Skew = (Q1 + Q3 - 2 Q2) / (Q3 - Q1), but 0
-- where Q2 is Q1 or Q3 or where the quartiles lie close together: less than 10 (seconds, bytes) for RITA, less than a tenth of the
-- median for our pauses, since two seconds with a fifth of jitter are a beacon too. Part = mean of 1 - |skew| and
-- max(0, (median - MAD) / median), rounded to 0.001 as RITA does.
-- Histogram (both): the larger of 1 - CV and the share of bins in the two commonest heights. RITA: 24 bins over the window.
-- Ours: as many bins as give four connections each, 2 to 24, from the pair's first connection to its last.
WITH pairs AS (
    SELECT network, src_ip, dst_ip, count(*) AS n, epoch_us(min(ts)) AS born, epoch_us(max(ts)) AS died
    FROM flows
    WHERE
        proto IN (6, 17)
        AND NOT (dst_addr BETWEEN '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xE0\x00\x00\x00'::BLOB
                              AND '\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF'::BLOB)
        AND NOT dst_addr >= '\xFF'::BLOB
    GROUP BY ALL
    HAVING count(*) >= greatest($min_connections, 4) AND died > born
),
bounds AS (  -- the window in whole seconds: RITA's data set
    SELECT greatest(epoch_us(min(ts)), epoch_us(max(ts)) - ($window * 1e6)::BIGINT) // 1000000 AS first, epoch_us(max(ts)) // 1000000 AS last
    FROM flows
),
conns AS (
    SELECT
        p.network, p.src_ip, p.dst_ip, p.n, p.born, p.died,
        epoch_us(f.ts) AS us,
        epoch_us(f.ts) // 1000000 AS sec,
        epoch_us(f.ts) // 1000000 >= b.first AS within,
        f.src_bytes AS size, f.flow_id, f.dst_port, f.ts_end, f.ts
    FROM flows f JOIN pairs p USING (network, src_ip, dst_ip) CROSS JOIN bounds b
    WHERE f.proto IN (6, 17)
),
-- 1. pauses and sizes, one list under another
gaps AS (
    SELECT
        *,
        us - lag(us) OVER (PARTITION BY network, src_ip, dst_ip ORDER BY us, flow_id) AS gap_us,
        CASE WHEN within THEN sec - lag(sec) OVER (PARTITION BY network, src_ip, dst_ip, within ORDER BY us, flow_id) END AS gap_sec
    FROM conns
),
series AS (
    SELECT network, src_ip, dst_ip, 'own_ts' AS kind, gap_us::DOUBLE AS v FROM gaps WHERE gap_us > 0
    UNION ALL SELECT network, src_ip, dst_ip, 'own_ds', size::DOUBLE FROM gaps
    UNION ALL SELECT network, src_ip, dst_ip, 'rita_ts', gap_sec::DOUBLE FROM gaps WHERE gap_sec > 0
    UNION ALL SELECT network, src_ip, dst_ip, 'rita_ds', size::DOUBLE FROM gaps WHERE within
),
ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY network, src_ip, dst_ip, kind ORDER BY v) AS r,
        count(*) OVER (PARTITION BY network, src_ip, dst_ip, kind) AS m,
        count(*) OVER (PARTITION BY network, src_ip, dst_ip, kind) // 2 AS h
    FROM series
),
quartiles AS (
    SELECT
        network, src_ip, dst_ip, kind, any_value(m) AS m,
        avg(v) FILTER (r IN ((h + 1) // 2, h // 2 + 1)) AS q1,
        avg(v) FILTER (r IN ((m + 1) // 2, m // 2 + 1)) AS q2,
        avg(v) FILTER (r IN (m - h + (h + 1) // 2, m - h + h // 2 + 1)) AS q3
    FROM ranked
    GROUP BY ALL
),
spreads AS (
    SELECT q.*, d.mad
    FROM quartiles q
    JOIN (
        SELECT r.network, r.src_ip, r.dst_ip, r.kind, median(abs(r.v - q.q2)) AS mad
        FROM ranked r JOIN quartiles q USING (network, src_ip, dst_ip, kind)
        GROUP BY ALL
    ) d USING (network, src_ip, dst_ip, kind)
),
parts AS (
    SELECT
        network, src_ip, dst_ip, kind, m, q2,
        round((
            1 - CASE
                WHEN q2 <> q1 AND q2 <> q3 AND q3 - q1 >= CASE WHEN kind = 'own_ts' THEN 0.1 * q2 ELSE 10 END
                    THEN abs((q1 + q3 - 2 * q2) / (q3 - q1))
                ELSE 0
            END
            + CASE
                WHEN q2 >= 1 THEN greatest(0.0, (q2 - mad) / q2)
                WHEN kind = 'rita_ts' THEN 1
                ELSE 0
            END
        ) / 2, 3) AS part
    FROM spreads
    WHERE m >= 3
),
-- 2. histograms
binned AS (
    SELECT
        network, src_ip, dst_ip, 'own' AS kind, greatest(2, least(24, n // 4)) AS bins,
        -- integers: no edge is lost to rounding
        least(greatest(2, least(24, n // 4)) - 1, greatest(2, least(24, n // 4)) * (us - born) // (died - born)) AS bin
    FROM conns
    UNION ALL
    SELECT c.network, c.src_ip, c.dst_ip, 'rita', 24, least(23, 24 * (c.sec - b.first) // (b.last - b.first))
    FROM conns c CROSS JOIN bounds b
    WHERE c.within AND b.last > b.first
),
heights AS (SELECT network, src_ip, dst_ip, kind, bins, bin, count(*) AS f FROM binned GROUP BY ALL),
shapes AS (
    SELECT
        network, src_ip, dst_ip, kind, bins,
        count(*) AS bars,
        max(f) AS highest,
        sum(f) AS total,
        sum(f * f) AS squares,
        bit_or((1::BIGINT << bin)) AS mask
    FROM heights
    GROUP BY ALL
),
modes AS (  -- heights in steps of a twentieth of the highest bar; the two commonest
    SELECT network, src_ip, dst_ip, kind, list_sum(list(n ORDER BY n DESC)[1:2]) AS commonest
    FROM (
        SELECT h.network, h.src_ip, h.dst_ip, h.kind, floor(h.f / ceil(s.highest * 0.05)) AS step, count(*) AS n
        FROM heights h JOIN shapes s USING (network, src_ip, dst_ip, kind)
        GROUP BY ALL
    )
    GROUP BY ALL
),
drawn AS (
    SELECT
        *,
        -- variance over all bins, from whole numbers: (bins * sum f^2 - (sum f)^2) / bins^2
        sqrt((bins * squares - total * total)::DOUBLE) / total AS cv,
        -- occupied bins in order as a text of 0 and 1
        reverse(lpad(bin(mask), bins::INTEGER, '0')) AS line
    FROM shapes JOIN modes USING (network, src_ip, dst_ip, kind)
),
hists AS (
    SELECT
        *,
        greatest(
            CASE WHEN cv > 1 THEN 0.0 ELSE round(1 - cv, 3) END,
            CASE WHEN bars >= 11 THEN least(1.0, round(commonest / greatest(bars - 1, 1), 3)) ELSE 0.0 END
        ) AS hist,
        -- the longest text of ones is the greatest of them; a day of RITA's goes round, a lifetime does not
        length(list_max(string_split(line, '0'))) AS run,
        least(24, length(list_max(string_split(line || line, '0')))) AS run_around
    FROM drawn
),
-- 3. both scores
times AS (
    SELECT
        network, src_ip, dst_ip,
        min(sec) FILTER (within) AS first, max(sec) FILTER (within) AS last,
        count(DISTINCT sec) FILTER (within) AS seconds, count(*) FILTER (within) AS recent,
        list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
        max(ts_end) AS ts_last,
        array_to_string(list_sort(list_distinct(list(dst_port)))[1:5], ', ') AS ports
    FROM conns
    GROUP BY ALL
),
rita AS (
    SELECT
        t.network, t.src_ip, t.dst_ip, ts.part AS rita_ts, ds.part AS rita_ds, h.hist AS rita_hist,
        CASE
            WHEN h.bars < 6 THEN 0.0
            ELSE greatest(
                least(1.0, ceil((t.last - t.first)::DOUBLE / (b.last - b.first) * 1000) / 1000),
                least(1.0, ceil(h.run_around::DOUBLE / 12 * 1000) / 1000)
            )
        END AS rita_dur
    FROM times t
    JOIN parts ts ON ts.kind = 'rita_ts' AND ts.network = t.network AND ts.src_ip = t.src_ip AND ts.dst_ip = t.dst_ip
    JOIN parts ds ON ds.kind = 'rita_ds' AND ds.network = t.network AND ds.src_ip = t.src_ip AND ds.dst_ip = t.dst_ip
    JOIN hists h ON h.kind = 'rita' AND h.network = t.network AND h.src_ip = t.src_ip AND h.dst_ip = t.dst_ip
    CROSS JOIN bounds b
    WHERE t.seconds >= 4 AND t.recent < 86400
),
own AS (
    SELECT
        p.network, p.src_ip, p.dst_ip, p.n, p.born, p.died, ts.q2 / 1e6 AS period,
        ts.part AS own_ts, ds.part AS own_ds, h.hist AS own_hist,
        round(h.run::DOUBLE / h.bins * least(1.0, p.n::DOUBLE / $ideal), 3) AS own_dur
    FROM pairs p
    JOIN parts ts ON ts.kind = 'own_ts' AND ts.network = p.network AND ts.src_ip = p.src_ip AND ts.dst_ip = p.dst_ip
    JOIN parts ds ON ds.kind = 'own_ds' AND ds.network = p.network AND ds.src_ip = p.src_ip AND ds.dst_ip = p.dst_ip
    JOIN hists h ON h.kind = 'own' AND h.network = p.network AND h.src_ip = p.src_ip AND h.dst_ip = p.dst_ip
),
scored AS (
    SELECT
        o.*, r.rita_ts, r.rita_ds, r.rita_hist, r.rita_dur,
        round(0.25 * own_ts + 0.25 * own_ds + 0.25 * own_dur + 0.25 * own_hist, 3) AS score,
        round(0.25 * rita_ts + 0.25 * rita_ds + 0.25 * rita_dur + 0.25 * rita_hist, 3) AS rita
    FROM own o LEFT JOIN rita r USING (network, src_ip, dst_ip)
)
SELECT
    s.src_ip || CASE WHEN s.network = '' THEN '' ELSE ' in ' || s.network END AS subject,
    s.dst_ip AS object,
    s.score,
    make_timestamp(s.born) AS ts_first,
    t.ts_last,
    t.flow_ids,
    s.n AS flows,
    format(
        '{} called {} {:,} times in {}, every {} as a rule; {:.2f} over its own lifetime, {} by RITA''s formula',
        s.src_ip, s.dst_ip, s.n,
        CASE
            WHEN s.died - s.born < 600e6 THEN format('{:.0f} s', (s.died - s.born) / 1e6)
            WHEN s.died - s.born < 7200e6 THEN format('{:.0f} min', (s.died - s.born) / 60e6)
            ELSE format('{:.1f} h', (s.died - s.born) / 3600e6)
        END,
        CASE WHEN s.period < 120 THEN format('{:.1f} s', s.period) ELSE format('{:.1f} min', s.period / 60) END,
        s.score, coalesce(format('{:.2f}', s.rita), 'nothing')
    ) AS why,
    CASE WHEN s.score >= 0.9 THEN 'medium' ELSE 'low' END AS severity,
    s.network,
    s.n AS connections,
    s.period,
    (s.died - s.born) / 1e6 AS lifetime,
    s.own_ts, s.own_ds, s.own_hist, s.own_dur,
    s.rita, s.rita_ts, s.rita_ds, s.rita_hist, s.rita_dur,
    t.ports
FROM scored s JOIN times t USING (network, src_ip, dst_ip)
WHERE s.n >= $min_connections AND s.period >= $min_period AND s.score >= $min_score
ORDER BY score DESC, subject, object
