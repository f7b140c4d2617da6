/*
id: dns-tunnel
title: Data in names
description: >
  A host asks for many different names under one domain, and the names are long or ask for records that can carry anything (TXT,
  NULL and the like): what is to leave stands in the names, what is to come back in the answers. The domain is the registered one
  as far as it can be told: two labels, three below suffixes such as co.uk. Names that begin with an address are not counted, so
  that block lists are let pass, and whoever carries four bytes a name in this way too. Whoever only passes on what others ask it
  under that domain, as resolvers do, is left out where both sides were seen; where only its own questions were, it is named.
severity: medium
attack: [T1071.004, T1572, T1048.003]
parameters:
  least: {type: integer, default: 30, help: "different names under one domain within the window"}
  window: {type: duration, default: 10m, help: "the time in which names are counted"}
  length: {type: number, default: 20, help: "characters before the domain, on average, from which on names are long"}
  share: {type: number, default: 0.5, help: "share of questions for TXT, NULL and other records that carry data which is much"}
  entropy: {type: number, default: 3.5, help: "bits a character, over all names: addresses and counters (11 symbols) stay below"}
columns:
  network: tenant scope
  domain: under which domain
  names: different names asked for
  most_in_window: most new names in one window
  questions: questions, repeated ones too
  mean_length: characters before the domain, on average
  bits: entropy of these characters, bits a character (of the first 1,000 names)
  carriers: share of questions for records that carry data
  types: types asked for, the commonest first
  sent: characters in different names, about what could leave, bytes
  received: size of the answers, bytes
  unanswered: questions without an answer or with an error
references:
  - "K. Born, D. Gustafson: Detecting DNS tunnels using character frequency analysis (2010)"
  - "G. Farnham: Detecting DNS tunneling, SANS (2013)"
  - "MITRE ATT&CK T1071.004, Application Layer Protocol: DNS"
false_positives:
  - reputation services that are asked in names (anti-virus, e-mail), whose names are hashes
  - content networks and clouds that give each customer or object a long name of its own
  - telemetry and advertising that put identifiers into names
  - a resolver of which only the outer side was recorded
*/
WITH asked AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, f.flow_id, f.ts_end, d.ts, d.qtype, d.rcode, d.query,
        coalesce(d.answer_bytes, 0) AS answer_bytes,
        string_split(d.query, '.') AS labels
    FROM dns d JOIN flows f USING (flow_id)
    WHERE d.kind = 'dns' AND d.query LIKE '%_._%._%' AND NOT d.query LIKE '%.arpa'
        AND NOT regexp_matches(d.query, '^(\d{1,3}\.){4}|^([0-9a-f]\.){32}')  -- about an address
),
cut AS (
    SELECT
        * EXCLUDE (labels),
        CASE
            WHEN len(labels) >= 4 AND length(labels[-1]) = 2 AND labels[-2] IN ('co', 'com', 'org', 'net', 'ac', 'edu', 'gov', 'go', 'ne', 'or', 'gob')
                THEN array_to_string(labels[-3:], '.')
            ELSE array_to_string(labels[-2:], '.')
        END AS domain
    FROM asked
),
names AS (
    SELECT
        network, src_ip, domain, query,
        min(ts) AS first,
        query[1:length(query) - length(domain) - 1] AS prefix,
        length(regexp_replace(replace(prefix, '.', ''), '\\\d{3}', '?', 'g')) AS size  -- \200 is one
    FROM cut
    GROUP BY ALL
),
busy AS (SELECT network, src_ip, domain FROM names GROUP BY ALL HAVING count(*) >= $least),
crowded AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY network, src_ip, domain ORDER BY epoch(first) RANGE BETWEEN $window PRECEDING AND CURRENT ROW) AS in_window
    FROM names SEMI JOIN busy USING (network, src_ip, domain)
),
many AS (
    SELECT
        network, src_ip, domain,
        count(*) AS names,
        max(in_window) AS most_in_window,
        avg(size) AS mean_length,
        sum(size)::BIGINT AS sent
    FROM crowded
    GROUP BY ALL
    HAVING max(in_window) >= $least
),
served AS (SELECT network, dst_ip, domain, count(DISTINCT query) AS names FROM cut SEMI JOIN many USING (network, domain) GROUP BY ALL),
suspects AS (  -- who is asked for half of what it asks passes it on
    SELECT m.*
    FROM many m LEFT JOIN served s ON s.network = m.network AND s.dst_ip = m.src_ip AND s.domain = m.domain
    WHERE coalesce(s.names, 0) < 0.5 * m.names
),
characters AS (
    SELECT network, src_ip, domain, unnest(regexp_extract_all(prefix, '\\\d{3}|[^.]')) AS one
    FROM (
        SELECT * FROM names SEMI JOIN suspects USING (network, src_ip, domain)
        QUALIFY row_number() OVER (PARTITION BY network, src_ip, domain ORDER BY first, query) <= 1000
    )
),
heights AS (SELECT network, src_ip, domain, one, count(*) AS n FROM characters GROUP BY ALL),
drawn AS (
    SELECT network, src_ip, domain, log2(sum(n)) - sum(n * log2(n)) / sum(n) AS bits FROM heights GROUP BY ALL
),
kinds AS (SELECT network, src_ip, domain, qtype, count(*) AS n FROM cut SEMI JOIN suspects USING (network, src_ip, domain) GROUP BY ALL),
typed AS (
    SELECT
        network, src_ip, domain,
        string_agg(qtype || ' ' || n, ', ' ORDER BY n DESC, qtype) AS types,
        coalesce(sum(n) FILTER (qtype IN ('TXT', 'NULL', 'CNAME', 'MX', 'SRV', 'KEY', 'SPF') OR qtype LIKE 'TYPE%'), 0) / sum(n) AS carriers
    FROM kinds
    GROUP BY ALL
),
evidence AS (
    SELECT
        network, src_ip, domain,
        count(*) AS questions,
        count(*) FILTER (coalesce(rcode, '') <> 'NOERROR') AS unanswered,
        sum(answer_bytes)::BIGINT AS received,
        min(ts) AS ts_first,
        max(greatest(ts, ts_end)) AS ts_last,
        list(DISTINCT flow_id ORDER BY flow_id)[1:1000] AS flow_ids,
        count(DISTINCT flow_id) AS flows
    FROM cut SEMI JOIN suspects USING (network, src_ip, domain)
    GROUP BY ALL
),
judged AS (
    SELECT s.*, d.bits, t.types, t.carriers, e.* EXCLUDE (network, src_ip, domain), s.mean_length >= $length AS long, t.carriers >= $share AS odd
    FROM suspects s
    JOIN drawn d USING (network, src_ip, domain)
    JOIN typed t USING (network, src_ip, domain)
    JOIN evidence e USING (network, src_ip, domain)
)
SELECT
    src_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    domain AS object,
    0.5 + CASE WHEN long THEN 0.2 ELSE 0.0 END + CASE WHEN odd THEN 0.2 ELSE 0.0 END + CASE WHEN most_in_window >= 5 * $least THEN 0.1 ELSE 0.0 END AS score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format(
        '{} asked for {:,} different names under {}, up to {:,} of them within {:.0f} s, {:.0f} characters long on average ({:.1f} bits each); {:.0f} % of the questions were for records that carry data',
        src_ip, names, domain, most_in_window, $window, mean_length, bits, 100 * carriers
    ) AS why,
    CASE WHEN long AND odd THEN 'high' ELSE 'medium' END AS severity,
    network,
    domain,
    names,
    most_in_window,
    questions,
    mean_length,
    bits,
    carriers,
    types,
    sent,
    received,
    unanswered
FROM judged
WHERE bits >= $entropy AND (long OR odd)
ORDER BY score DESC, subject, object
