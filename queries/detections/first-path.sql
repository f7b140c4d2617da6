/*
id: first-path
title: First path between two networks
description: >
  A network reaches another one for the first time: no flow went that way in the first part of the case, which serves as the
  baseline. Networks are prefixes. Both have to lie inside, since new destinations on the Internet are nothing special, and the
  one that reaches out has to be known from the baseline, since everything is new of somebody who has just come.
severity: medium
attack: [T1021, T1570]
parameters:
  baseline: {type: number, default: 0.25, help: "share of the case's time that is taken for ordinary"}
  min_baseline: {type: integer, default: 10, help: "fewest flows in the baseline; below that nothing is said"}
  v4: {type: integer, default: 24, help: "length of an IPv4 network in bits, a multiple of 8"}
  v6: {type: integer, default: 64, help: "length of an IPv6 network in bits, a multiple of 8"}
  internal: {type: prefixes, default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7"], help: "what is inside"}
columns:
  network: tenant scope
  sources: addresses that took the path
  targets: addresses that were reached
  answered: flows that were answered
  services: the ports reached, the commonest ten
  target_known: whether anybody reached the other network, or it anybody, in the baseline
  learnt_until: where the baseline ends
references:
  - "NIST SP 800-207, Zero Trust Architecture: traffic between resources is judged by what is known to be needed"
  - "MITRE ATT&CK, TA0008 Lateral Movement"
false_positives:
  - a new service, a migration, a backup that runs once a day where the case is shorter than its round
  - a case that is shorter than the ordinary rhythm of the traffic in it
*/
WITH asked AS NOT MATERIALIZED (  -- read three times, a few columns each: keeping it would take the disk
    SELECT network, src_ip, dst_ip, src_addr, dst_addr, ts, ts_end, flow_id, dst_pkts > 0 AND conn_state <> 'REJ' AS answered,
        CASE WHEN proto IN (1, 58) THEN 'icmp/echo' ELSE proto_name || '/' || dst_port END AS service
    FROM flows
    WHERE
        (proto IN (6, 17) OR (proto = 1 AND src_port = 8) OR (proto = 58 AND src_port = 128))
        AND src_pkts > 0
        AND NOT (proto = 17 AND dst_pkts = 0 AND src_port < 1024 AND dst_port >= 1024)  -- answers without their question
),
span AS (
    SELECT make_timestamp((epoch_us(min(ts)) + $baseline * (epoch_us(max(ts)) - epoch_us(min(ts))))::BIGINT) AS learnt_until FROM flows
),
inside AS (SELECT p.low AS low, p.high AS high FROM (SELECT unnest($internal) AS p)),
addresses AS (SELECT DISTINCT src_ip AS ip, src_addr AS addr FROM asked UNION SELECT DISTINCT dst_ip, dst_addr FROM asked),
groups AS (  -- each address and its network; multicast and what lies outside has none
    SELECT
        ip,
        CASE
            WHEN contains(ip, ':')
                THEN regexp_replace(
                    rpad(lower(hex(addr))[1:$v6 // 4], 32, '0'), '(....)(....)(....)(....)(....)(....)(....)(....)',
                    '\1:\2:\3:\4:\5:\6:\7:\8/' || $v6
                )
            ELSE array_to_string(list_concat(string_split(ip, '.')[1:$v4 // 8], ['0', '0', '0', '0'])[1:4], '.') || '/' || $v4
        END AS prefix
    FROM addresses
    WHERE EXISTS (SELECT 1 FROM inside WHERE addr BETWEEN low AND high)
),
paths AS MATERIALIZED (  -- every path, also within a network (same prefix) and to the outside (null): they show who was there
    SELECT f.network, s.prefix AS src_prefix, d.prefix AS dst_prefix, count(*) FILTER (f.ts < n.learnt_until) AS learnt
    FROM asked f LEFT JOIN groups s ON s.ip = f.src_ip LEFT JOIN groups d ON d.ip = f.dst_ip CROSS JOIN span n
    GROUP BY ALL
),
seen AS (  -- networks that took part in the baseline, and whether they reached out themselves
    SELECT network, prefix, bool_or(reaches) AS reaches
    FROM (
        SELECT network, src_prefix AS prefix, true AS reaches FROM paths WHERE learnt > 0
        UNION ALL
        SELECT network, dst_prefix, false FROM paths WHERE learnt > 0
    )
    GROUP BY ALL
),
fresh AS (
    SELECT p.network, p.src_prefix, p.dst_prefix, k.prefix IS NOT NULL AS target_known
    FROM paths p
    JOIN seen s ON s.network = p.network AND s.prefix = p.src_prefix AND s.reaches
    LEFT JOIN seen k ON k.network = p.network AND k.prefix = p.dst_prefix
    WHERE p.learnt = 0 AND p.src_prefix <> p.dst_prefix AND (SELECT sum(learnt) FROM paths) >= $min_baseline
),
taken AS (  -- a semi-join, so that the flows are looked up and not every pair of addresses that the new paths allow
    SELECT f.*, s.prefix AS src_prefix, d.prefix AS dst_prefix
    FROM asked f JOIN groups s ON s.ip = f.src_ip JOIN groups d ON d.ip = f.dst_ip
    WHERE (f.network, s.prefix, d.prefix) IN (SELECT (network, src_prefix, dst_prefix) FROM fresh)
),
evidence AS MATERIALIZED (
    SELECT t.*, n.learnt_until, p.target_known FROM taken t JOIN fresh p USING (network, src_prefix, dst_prefix) CROSS JOIN span n
),
services AS (
    SELECT network, src_prefix, dst_prefix, array_to_string(list(service ORDER BY n DESC, service)[1:10], ', ') AS services
    FROM (SELECT network, src_prefix, dst_prefix, service, count(*) AS n FROM evidence GROUP BY ALL)
    GROUP BY ALL
)
SELECT
    src_prefix || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    dst_prefix AS object,
    0.4 + CASE WHEN count(*) FILTER (answered) > 0 THEN 0.3 ELSE 0.0 END + CASE WHEN any_value(target_known) THEN 0.2 ELSE 0.0 END AS score,
    min(ts) AS ts_first,
    max(ts_end) AS ts_last,
    list(flow_id ORDER BY ts, flow_id)[1:1000] AS flow_ids,
    count(*) AS flows,
    format(
        '{} reached {} for the first time: {:,} of {:,} flows were answered, by {:,} of {:,} hosts ({}); none went that way before {} UTC',
        src_prefix, dst_prefix, count(*) FILTER (answered), count(*), count(DISTINCT dst_ip) FILTER (answered), count(DISTINCT dst_ip),
        any_value(services), strftime(any_value(learnt_until), '%Y-%m-%d %H:%M:%S')
    ) AS why,
    CASE WHEN count(*) FILTER (answered) > 0 THEN 'medium' ELSE 'low' END AS severity,
    network,
    count(DISTINCT src_ip) AS sources,
    count(DISTINCT dst_ip) AS targets,
    count(*) FILTER (answered) AS answered,
    any_value(services) AS services,
    any_value(target_known) AS target_known,
    any_value(learnt_until) AS learnt_until
FROM evidence JOIN services USING (network, src_prefix, dst_prefix)
GROUP BY network, src_prefix, dst_prefix
ORDER BY score DESC, subject, object
