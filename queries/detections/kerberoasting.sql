/*
id: kerberoasting
title: Service tickets with RC4
description: >
  A host asks for service tickets that are encrypted with RC4, from whose key the service's password can be guessed offline. Many
  different services within the window are the finding; so is a single one whose request does not offer AES, or that was given
  RC4 where AES was offered, at a lower severity. Tickets for machines (host, cifs, ldap...) count as others do.
severity: high
attack: [T1558.003]
parameters:
  least: {type: integer, default: 4, help: "different services within the window that make it certain"}
  window: {type: duration, default: 10m, help: "how far those tickets may be apart"}
columns:
  network: tenant scope
  services: different services
  names: their names, at most ten
  most_in_window: most different services in one window
  without_aes: requests that did not offer AES
references:
  - "T. Medin, Attacking Kerberos: Kicking the Guard Dog of Hades (2014)"
  - "MITRE ATT&CK T1558.003, Kerberoasting"
false_positives:
  - services whose account has no AES key, and old systems that know nothing but RC4
  - tickets across a trust that is not set up for AES
*/
WITH tickets AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, f.flow_id, k.ts, f.ts_end, lower(k.service) AS service,
        NOT contains(coalesce(k.etypes, ''), 'aes') AS without_aes
    FROM kerberos k JOIN flows f USING (flow_id)
    WHERE
        k.type = 'TGS' AND k.ticket_etype LIKE 'rc4-%' AND k.error IS NULL
        AND k.service IS NOT NULL AND NOT lower(k.service) LIKE 'krbtgt/%'
),
windows AS (
    SELECT a.network, a.src_ip, a.ts, count(DISTINCT b.service) AS together
    FROM (SELECT DISTINCT network, src_ip, ts FROM tickets) a
    JOIN tickets b ON b.network = a.network AND b.src_ip = a.src_ip AND epoch_us(b.ts) BETWEEN epoch_us(a.ts) AND epoch_us(a.ts) + $window * 1e6
    GROUP BY ALL
),
most AS (SELECT network, src_ip, max(together) AS most_in_window FROM windows GROUP BY ALL),
hosts AS (
    SELECT
        network, src_ip,
        string_agg(DISTINCT dst_ip, ', ' ORDER BY dst_ip) AS controllers,
        count(DISTINCT service) AS services,
        array_to_string(list_sort(list(DISTINCT service))[1:10], ', ') AS names,
        count(*) FILTER (without_aes) AS without_aes,
        min(ts) AS ts_first,
        max(ts_end) AS ts_last,
        list(DISTINCT flow_id ORDER BY flow_id)[1:1000] AS flow_ids,
        count(DISTINCT flow_id) AS flows
    FROM tickets
    GROUP BY ALL
)
SELECT
    h.src_ip || CASE WHEN h.network = '' THEN '' ELSE ' in ' || h.network END AS subject,
    h.controllers AS object,
    CASE WHEN m.most_in_window >= $least THEN 0.9 WHEN h.without_aes > 0 THEN 0.6 ELSE 0.4 END AS score,
    h.ts_first,
    h.ts_last,
    h.flow_ids,
    h.flows,
    format(
        '{} got tickets with RC4 for {:,} services, {:,} of them within one window; {:,} requests did not offer AES',
        h.src_ip, h.services, m.most_in_window, h.without_aes
    ) AS why,
    CASE WHEN m.most_in_window >= $least THEN 'high' WHEN h.without_aes > 0 THEN 'medium' ELSE 'low' END AS severity,
    h.network,
    h.services,
    h.names,
    m.most_in_window,
    h.without_aes
FROM hosts h JOIN most m ON m.network = h.network AND m.src_ip = h.src_ip
ORDER BY score DESC, subject, object
