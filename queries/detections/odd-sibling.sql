/*
id: odd-sibling
title: One replica unlike its siblings
description: >
  Replicas of one workload do the same. One that alone talks to a destination, while all others share what they talk to, does something
  that was not deployed: a shell in it, a stolen token, a changed image. Siblings are workloads of one namespace and application
  label, or of one name without the part that each replica has of its own. A group whose members all go their own ways, such as
  crawlers or jobs, says nothing and is left out.
severity: medium
attack: [T1610, T1021, T1071]
parameters:
  siblings: {type: integer, default: 3, help: "fewest members of a group, the odd one included"}
  least: {type: integer, default: 3, help: "fewest flows of a member for it to count"}
  alike: {type: number, default: 0.8, help: "share of the others' destinations that at least two members have"}
  most: {type: integer, default: 5, help: "a member with more destinations of its own is busy with something else than its siblings"}
columns:
  network: tenant scope
  siblings: members of the group, the odd one included
  answered: flows that were answered
  own: destinations that only this member has
references:
  - "Kubernetes documentation, recommended labels: app.kubernetes.io/name"
  - "MITRE ATT&CK, T1610 Deploy Container"
false_positives:
  - the elected leader of a group, which alone writes to a store or asks an API server
  - a replica that a person debugs; a shard that has data of its own to fetch
*/
WITH who AS (
    SELECT
        workload_id, coalesce(uid, name) AS uid,
        coalesce(nullif(namespace, '') || '/', '') || coalesce(name, uid) AS shown,
        coalesce(namespace, '') || '/' || coalesce(
            CASE WHEN json_valid(labels) THEN coalesce(
                json_extract_string(labels, '$."app.kubernetes.io/name"'), json_extract_string(labels, '$.app'),
                json_extract_string(labels, '$."k8s-app"')
            ) END,
            regexp_replace(name, '(-[0-9a-f]{6,10})?-[0-9a-z]{5}$|-[0-9]+$', '')
        ) AS grp
    FROM workloads
    WHERE kind IN ('pod', 'vm', 'container') AND coalesce(uid, name) IS NOT NULL AND name IS NOT NULL
),
talks AS (  -- what each member reached for: the group that answers there, else the address, and the service
    SELECT
        f.network, s.grp, s.uid, s.shown, f.flow_id, f.ts, f.ts_end, f.dst_pkts > 0 AND coalesce(f.conn_state, '') <> 'REJ' AS answered,
        coalesce(d.grp, f.dst_ip) || ' ' || f.proto_name || CASE
            WHEN f.proto NOT IN (6, 17) THEN '' WHEN f.dst_port < 32768 THEN '/' || f.dst_port ELSE '/high'
        END AS target
    FROM flows f JOIN flow_identity i ON i.flow_id = f.flow_id JOIN who s ON s.workload_id = i.src_wid
    LEFT JOIN who d ON d.workload_id = i.dst_wid
    WHERE
        f.src_pkts > 0 AND f.dst_ip IS NOT NULL AND NOT starts_with(f.dst_ip, 'ff') AND f.dst_ip NOT IN ('255.255.255.255')
        AND NOT regexp_matches(f.dst_ip, '^(22[4-9]|23[0-9])\.')
),
members AS (SELECT network, grp, uid, count(*) AS n FROM talks GROUP BY ALL HAVING count(*) >= $least),
groups AS (SELECT network, grp, count(*) AS siblings FROM members GROUP BY ALL HAVING count(*) >= greatest($siblings, 3)),
targets AS (
    SELECT t.network, t.grp, t.target, count(DISTINCT t.uid) AS had_by, any_value(t.uid) AS uid
    FROM talks t JOIN members m ON m.network = t.network AND m.grp = t.grp AND m.uid = t.uid
    GROUP BY ALL
),
own AS (SELECT network, grp, uid, count(*) AS own FROM targets WHERE had_by = 1 GROUP BY ALL),
sums AS (
    SELECT network, grp, count(*) FILTER (had_by = 1) AS lone, count(*) FILTER (had_by > 1) AS common FROM targets GROUP BY ALL
),
odd AS (
    SELECT o.network, o.grp, o.uid, o.own, g.siblings
    FROM own o JOIN groups g USING (network, grp) JOIN sums s USING (network, grp)
    WHERE o.own <= $most AND s.common > 0 AND s.common >= $alike * (s.common + s.lone - o.own)
)
SELECT
    any_value(t.shown) || CASE WHEN t.network = '' THEN '' ELSE ' in ' || t.network END AS subject,
    t.target AS object,
    least(1.0, 0.4 + 0.05 * any_value(o.siblings) + CASE WHEN count(*) FILTER (t.answered) > 0 THEN 0.2 ELSE 0.0 END) AS score,
    min(t.ts) AS ts_first,
    max(t.ts_end) AS ts_last,
    list(t.flow_id ORDER BY t.ts, t.flow_id)[1:1000] AS flow_ids,
    count(*) AS flows,
    format(
        '{} is the only one of {:,} in {} that talked to {}: {:,} flows, {:,} answered',
        any_value(t.shown), any_value(o.siblings), ltrim(t.grp, '/'), t.target, count(*), count(*) FILTER (t.answered)
    ) AS why,
    CASE WHEN count(*) FILTER (t.answered) > 0 THEN 'medium' ELSE 'low' END AS severity,
    t.network,
    any_value(o.siblings) AS siblings,
    count(*) FILTER (t.answered) AS answered,
    any_value(o.own) AS own
FROM talks t JOIN odd o ON o.network = t.network AND o.grp = t.grp AND o.uid = t.uid
JOIN targets x ON x.network = t.network AND x.grp = t.grp AND x.target = t.target AND x.had_by = 1 AND x.uid = t.uid
GROUP BY t.network, t.grp, t.uid, t.target
ORDER BY score DESC, subject, object
