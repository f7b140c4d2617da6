/*
id: brute-force
title: Passwords are guessed
description: >
  Many short sessions of one size at a service that asks for a password: a wrong one costs the same bytes each time. Counted
  for one source at one service; for one source at many hosts (spraying); and for many sources at one service.
  At web servers, where many alike requests are ordinary, they have to come faster and more of them, and the answers be of one size.
severity: medium
attack: [T1110]
parameters:
  min_sessions: {type: integer, default: 10, help: "fewest alike sessions at a login service"}
  min_web: {type: integer, default: 30, help: "fewest alike sessions at a web server"}
  min_spread: {type: integer, default: 5, help: "fewest sources, or hosts, where no single pair stands out"}
  most_bytes: {type: integer, default: 4096, help: "payload bytes of a failed login at most, each way"}
  longest: {type: duration, default: 60s, help: "how long a failed login lasts at most"}
  pause: {type: duration, default: 60s, help: "median time between two guesses at most"}
  web_pause: {type: duration, default: 1s, help: "the same for web servers"}
columns:
  network: tenant scope
  way: one (one source, one service), spray (one source, many hosts) or spread (many sources, one service)
  service: the port
  sessions: alike sessions
  sources: who tried
  targets: where
  size: median payload from the originator, bytes
  median_pause: median seconds between two sessions
  larger: sessions of the same pairs, later, that were larger than a guess, as a login that worked is
references:
  - "M. Javed, V. Paxson: Detecting Stealthy, Distributed SSH Brute-Forcing, CCS 2013"
  - "MITRE ATT&CK T1110.001, .003, .004"
false_positives:
  - programs that log in for every task (Ansible, monitoring by ssh, health checks of SMB)
  - load tests and polling without keep-alive at web servers
*/
-- Nothing here reads a password or an answer: it is sizes and times alone, so that it holds for ciphered services too.
WITH sessions AS (
    SELECT
        network, src_ip, dst_ip, dst_port, ts, ts_end, flow_id, src_payload, dst_payload,
        dst_port IN (80, 443, 8080, 8443) AS web,
        src_payload <= $most_bytes AND dst_payload <= $most_bytes AND duration <= $longest AS guess
    FROM flows
    WHERE proto = 6 AND dst_port IN (21, 22, 23, 445, 3389, 5900, 5985, 5986, 80, 443, 8080, 8443) AND src_payload > 0 AND dst_payload > 0
),
one AS (
    SELECT network, 'one' AS way, src_ip, dst_ip, dst_port
    FROM sessions
    WHERE guess
    GROUP BY ALL
    HAVING count(*) >= CASE WHEN any_value(web) THEN $min_web ELSE $min_sessions END
),
spray AS (
    SELECT network, 'spray' AS way, src_ip, NULL AS dst_ip, dst_port
    FROM sessions ANTI JOIN one USING (network, src_ip, dst_ip, dst_port)
    WHERE guess AND NOT web
    GROUP BY ALL
    HAVING count(*) >= $min_sessions AND count(DISTINCT sessions.dst_ip) >= $min_spread
),
spread AS (
    SELECT network, 'spread' AS way, NULL AS src_ip, dst_ip, dst_port
    FROM sessions ANTI JOIN one USING (network, src_ip, dst_ip, dst_port)
    WHERE guess AND NOT web
    GROUP BY ALL
    HAVING count(*) >= $min_sessions AND count(DISTINCT sessions.src_ip) >= $min_spread
),
tried AS (
    SELECT o.way, o.src_ip AS who, o.dst_ip AS whom, s.* FROM sessions s JOIN one o USING (network, src_ip, dst_ip, dst_port)
    UNION ALL
    SELECT o.way, o.src_ip, NULL, s.*
    FROM sessions s JOIN spray o ON o.network = s.network AND o.src_ip = s.src_ip AND o.dst_port = s.dst_port
    WHERE NOT s.web
    UNION ALL
    SELECT o.way, NULL, o.dst_ip, s.*
    FROM sessions s JOIN spread o ON o.network = s.network AND o.dst_ip = s.dst_ip AND o.dst_port = s.dst_port
    WHERE NOT s.web
),
sizes AS (  -- of one size: half of the sessions within a tenth of the median, and web servers' answers mostly the very same
    SELECT
        network, way, who, whom, dst_port, min(ts) AS began, median(src_payload) AS size, mode(dst_payload) AS answer
    FROM tried
    WHERE guess
    GROUP BY ALL
    HAVING mad(src_payload) <= 0.1 * median(src_payload)
),
alike AS (
    SELECT
        t.*, z.size, z.answer, z.began,
        t.guess AND abs(t.src_payload - z.size) <= 0.25 * z.size AS counts
    FROM tried t
    JOIN sizes z
        ON z.network = t.network AND z.way = t.way AND z.who IS NOT DISTINCT FROM t.who
        AND z.whom IS NOT DISTINCT FROM t.whom AND z.dst_port = t.dst_port
),
paused AS (
    SELECT
        *,
        CASE
            WHEN counts THEN (epoch_us(ts) - epoch_us(lag(ts) OVER (PARTITION BY network, way, who, whom, dst_port, counts ORDER BY ts))) / 1e6
        END AS pause
    FROM alike
),
found AS (
    SELECT
        network, way, who, whom, dst_port,
        any_value(web) AS web,
        count(*) FILTER (counts) AS sessions,
        count(*) FILTER (counts AND dst_payload = answer) AS same_answer,
        count(DISTINCT src_ip) FILTER (counts) AS sources,
        count(DISTINCT dst_ip) FILTER (counts) AS targets,
        any_value(size) AS size,
        median(pause) AS median_pause,
        min(ts) FILTER (counts) AS ts_first,
        max(ts_end) FILTER (counts) AS ts_last,
        count(*) FILTER (NOT counts AND ts > began AND dst_payload > $most_bytes) AS larger,
        list(flow_id ORDER BY ts, flow_id) FILTER (counts OR ts > began)[1:1000] AS flow_ids
    FROM paused
    GROUP BY ALL
)
SELECT
    coalesce(who, 'several sources') || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    coalesce(whom || ' ', '') || 'tcp/' || dst_port AS object,
    0.5 + 0.4 * least(1.0, sessions / 100.0) + CASE WHEN larger > 0 THEN 0.1 ELSE 0.0 END AS score,
    ts_first,
    ts_last,
    flow_ids,
    sessions AS flows,
    format(
        '{:,} short sessions of about {:,} bytes from {} to {} at tcp/{}, one every {:.2f} s{}',
        sessions, size::BIGINT,
        CASE WHEN who IS NULL THEN format('{:,} sources', sources) ELSE who END,
        CASE WHEN whom IS NULL THEN format('{:,} hosts', targets) ELSE whom END,
        dst_port, median_pause,
        CASE WHEN larger > 0 THEN format('; {:,} later sessions were larger, as after a login that worked', larger) ELSE '' END
    ) AS why,
    CASE WHEN larger > 0 THEN 'high' ELSE 'medium' END AS severity,
    network,
    way,
    'tcp/' || dst_port AS service,
    sessions,
    sources,
    targets,
    size,
    median_pause,
    larger
FROM found
WHERE
    sessions >= CASE WHEN web THEN $min_web ELSE $min_sessions END
    AND median_pause <= CASE WHEN web THEN $web_pause ELSE $pause END
    AND (NOT web OR same_answer >= 0.8 * sessions)
    AND (way <> 'spray' OR targets >= $min_spread)
    AND (way <> 'spread' OR sources >= $min_spread)
ORDER BY score DESC, subject, object
