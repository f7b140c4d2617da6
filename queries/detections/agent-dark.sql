/*
id: agent-dark
title: An agent went dark while its host talks on
description: >
  A host called its manager at even pauses, stopped, and goes on talking to others: its agent was killed or blinded, which is what an
  intruder does first. Others still call the manager, so it is not the manager that is gone. A host is followed by its unique id where
  one is known, so that a change of address is no silence.
severity: high
attack: [T1562.001, T1489]
parameters:
  min_beats: {type: integer, default: 10, help: "fewest calls before the silence"}
  jitter: {type: number, default: 0.3, help: "largest median deviation of the pauses, as a part of their median"}
  missed: {type: integer, default: 5, help: "calls that are missing at the end before it counts as silence"}
  min_silence: {type: duration, default: 60s, help: "shortest silence"}
  alive: {type: integer, default: 5, help: "fewest flows of the host after its last call"}
  others: {type: integer, default: 1, help: "fewest other hosts that called the manager during the silence"}
columns:
  network: tenant scope
  beats: calls before the silence
  period: median pause between them, seconds
  last_beat: the last call
  silence: from the last call to the end of what was seen of the host, seconds
  alive: flows of the host since
  others: other hosts that called the manager meanwhile
references:
  - "MITRE ATT&CK, T1562.001 Impair Defenses: Disable or Modify Tools"
false_positives:
  - a service that was taken out of use, or moved to another manager or port
  - an agent that keeps one connection open does not beat, and is not looked at
*/
WITH calls AS (
    SELECT
        f.network, coalesce(w.uid, f.src_ip) AS machine, coalesce(nullif(w.namespace, '') || '/', '') || coalesce(w.name, f.src_ip) AS shown,
        f.dst_ip, f.dst_port, f.proto_name, f.ts, f.ts_end, f.flow_id, epoch_us(f.ts) AS us, f.dst_pkts > 0 AS answered
    FROM flows f LEFT JOIN flow_identity i ON i.flow_id = f.flow_id LEFT JOIN workloads w ON w.workload_id = i.src_wid
    WHERE f.proto IN (6, 17) AND f.src_pkts > 0 AND f.src_ip IS NOT NULL AND f.dst_ip IS NOT NULL AND f.dst_port IS NOT NULL
),
beats AS (
    SELECT network, machine, dst_ip, dst_port, proto_name, count(*) AS n, max(us) AS last
    FROM calls
    GROUP BY ALL
    HAVING count(*) FILTER (answered) >= greatest($min_beats, 4)  -- one that calls in vain is not dark
),
managers AS (
    SELECT network, dst_ip, dst_port, proto_name FROM beats GROUP BY ALL HAVING count(*) > $others
),
gaps AS (
    SELECT
        c.network, c.machine, c.dst_ip, c.dst_port, c.proto_name, b.n, b.last,
        c.us - lag(c.us) OVER (PARTITION BY c.network, c.machine, c.dst_ip, c.dst_port, c.proto_name ORDER BY c.us, c.flow_id) AS gap
    FROM calls c
    JOIN beats b USING (network, machine, dst_ip, dst_port, proto_name)
    JOIN managers m USING (network, dst_ip, dst_port, proto_name)
),
periods AS (
    SELECT network, machine, dst_ip, dst_port, proto_name, any_value(n) AS n, any_value(last) AS last, median(gap) AS period, list(gap) AS gaps
    FROM gaps
    WHERE gap IS NOT NULL
    GROUP BY ALL
),
steady AS (
    SELECT network, machine, dst_ip, dst_port, proto_name, n, last, period
    FROM periods
    WHERE period >= 1e6 AND list_median(list_transform(gaps, lambda g: abs(g - period))) <= $jitter * period
),
later AS (  -- what the host did once the next calls were overdue
    SELECT
        s.network, s.machine, s.dst_ip, s.dst_port, s.proto_name, count(*) AS alive, max(c.us) AS seen,
        list(c.flow_id ORDER BY c.us)[1:500] AS flow_ids, max(c.ts_end) AS ts_last
    FROM steady s JOIN calls c ON c.network = s.network AND c.machine = s.machine AND c.us > s.last + s.period
    GROUP BY ALL
    HAVING count(*) >= $alive AND max(c.us) - any_value(s.last) >= greatest($missed * any_value(s.period), $min_silence * 1e6)
),
dark AS (
    SELECT
        s.*, l.alive, l.seen, l.flow_ids AS since, l.ts_last,
        (
            SELECT count(DISTINCT c.machine)
            FROM calls c
            WHERE c.network = s.network AND c.dst_ip = s.dst_ip AND c.dst_port = s.dst_port AND c.proto_name = s.proto_name
                AND c.answered AND c.machine <> s.machine AND c.us > s.last + greatest($missed * s.period, $min_silence * 1e6)
        ) AS others
    FROM steady s JOIN later l USING (network, machine, dst_ip, dst_port, proto_name)
),
named AS (
    SELECT c.network, c.machine, any_value(c.shown) AS shown FROM calls c JOIN dark d ON d.network = c.network AND d.machine = c.machine
    GROUP BY ALL
)
SELECT
    n.shown || CASE WHEN d.network = '' THEN '' ELSE ' in ' || d.network END AS subject,
    d.dst_ip || ' ' || d.proto_name || '/' || d.dst_port AS object,
    least(1.0, 0.6 + 0.02 * ((d.seen - d.last) / d.period - $missed)) AS score,
    make_timestamp(d.last) AS ts_first,
    greatest(d.ts_last, make_timestamp(d.last)) AS ts_last,
    d.since AS flow_ids,
    d.alive AS flows,
    format(
        '{} called {} {}/{} {:,} times, every {:.1f} s in the middle, and not since {} UTC; it has had {:,} other flows in the {:.0f} s after, and {:,} other hosts called there',
        n.shown, d.dst_ip, d.proto_name, d.dst_port, d.n, d.period / 1e6, strftime(make_timestamp(d.last), '%Y-%m-%d %H:%M:%S'), d.alive,
        (d.seen - d.last) / 1e6, d.others
    ) AS why,
    'high' AS severity,
    d.network,
    d.n AS beats,
    d.period / 1e6 AS period,
    make_timestamp(d.last) AS last_beat,
    (d.seen - d.last) / 1e6 AS silence,
    d.alive,
    d.others
FROM dark d JOIN named n USING (network, machine)
WHERE d.others >= $others
ORDER BY score DESC, subject, object
