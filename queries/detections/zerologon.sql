/*
id: zerologon
title: Zerologon (CVE-2020-1472)
description: >
  Somebody tries again and again to authenticate to netlogon as a machine, with challenges (NetrServerReqChallenge) and answers
  (NetrServerAuthenticate2 or 3) that mostly fail: with a challenge of zeros one in 256 is accepted. A success among them and a
  new password for the machine (NetrServerPasswordSet2) mean that the domain was taken.
severity: high
attack: [T1210, T1068]
parameters:
  least: {type: integer, default: 5, help: "attempts of one host at one domain controller within the window"}
  window: {type: duration, default: 10m, help: "how far two attempts may be apart"}
columns:
  network: tenant scope
  attempts: calls of NetrServerAuthenticate2 and 3
  refused: those of them that were refused
  accepted: those of them that were accepted
  password_set: calls of NetrServerPasswordSet2 that were answered
references:
  - "CVE-2020-1472; Secura, Zerologon: instantly become domain admin by subverting Netlogon cryptography (2020)"
  - "MS-NRPC 3.5.4.4"
false_positives:
  - a computer whose trust with the domain is broken tries again and again, but minutes apart
  - scanners that look for the flaw
*/
WITH calls AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, f.flow_id, d.ts, f.ts_end, d.operation, d.status, d.result, d.count AS n,
        d.operation IN ('NetrServerAuthenticate2', 'NetrServerAuthenticate3') AS tries
    FROM dcerpc d JOIN flows f USING (flow_id)
    WHERE
        d.interface = 'netlogon'
        AND d.operation IN ('NetrServerAuthenticate2', 'NetrServerAuthenticate3', 'NetrServerPasswordSet2')
),
paused AS (  -- a run of calls with no pause longer than the window
    SELECT
        *,
        coalesce(epoch_us(ts) - epoch_us(lag(ts) OVER (PARTITION BY network, src_ip, dst_ip ORDER BY ts)) > $window * 1e6, false) AS begins
    FROM calls
),
runs AS (
    SELECT *, sum(begins::INTEGER) OVER (PARTITION BY network, src_ip, dst_ip ORDER BY ts, flow_id ROWS UNBOUNDED PRECEDING) AS run FROM paused
),
counted AS (
    SELECT
        network, src_ip, dst_ip, run,
        coalesce(sum(n) FILTER (tries), 0)::BIGINT AS attempts,
        coalesce(sum(n) FILTER (tries AND (status <> 'SUCCESS' OR result <> 'answered')), 0)::BIGINT AS refused,
        coalesce(sum(n) FILTER (tries AND status = 'SUCCESS'), 0)::BIGINT AS accepted,
        coalesce(sum(n) FILTER (NOT tries AND result = 'answered' AND coalesce(status, 'SUCCESS') = 'SUCCESS'), 0)::BIGINT AS password_set,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last,
        list(DISTINCT flow_id ORDER BY flow_id)[1:1000] AS flow_ids,
        count(DISTINCT flow_id) AS flows
    FROM runs
    GROUP BY ALL
),
worst AS (  -- one finding for a pair: its worst run
    SELECT * FROM counted
    WHERE attempts >= $least AND refused > accepted
    QUALIFY row_number() OVER (PARTITION BY network, src_ip, dst_ip ORDER BY password_set > 0 DESC, accepted > 0 DESC, attempts DESC) = 1
)
SELECT
    src_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    dst_ip AS object,
    CASE WHEN accepted > 0 AND password_set > 0 THEN 1.0 WHEN accepted > 0 THEN 0.9 ELSE 0.5 + 0.3 * least(1.0, attempts / 100.0) END AS score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format(
        '{} tried to authenticate to netlogon of {} {:,} times: {:,} were refused, {:,} accepted{}',
        src_ip, dst_ip, attempts, refused, accepted,
        CASE WHEN password_set > 0 THEN ', and then a machine''s password was set' ELSE '' END
    ) AS why,
    CASE WHEN accepted > 0 THEN 'critical' ELSE 'high' END AS severity,
    network,
    attempts,
    refused,
    accepted,
    password_set
FROM worst
ORDER BY score DESC, subject, object
