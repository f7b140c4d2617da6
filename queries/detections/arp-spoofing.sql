/*
id: arp-spoofing
title: Forged ARP
description: >
  Somebody claims an address that is another's. Three signs, any of which is enough: two MACs claim one address in turn, so that
  it changes hands and back; a flood of answers nobody asked for, or of announcements; an ARP sender that is not the
  sender of the frame. An address that is used again by another host after the first has gone changes hands once and is no sign.
severity: high
attack: [T1557.002]
parameters:
  flood: {type: integer, default: 10, help: "unasked answers and announcements within the window that make a flood"}
  window: {type: duration, default: 60s, help: "the window of a flood"}
  asked_within: {type: duration, default: 3s, help: "how long after a request an answer counts as asked for"}
columns:
  network: tenant scope
  mac: who claims
  claims: its ARP packets that claim the address
  others: other MACs that claimed the address in turn with it
  turns: how often the address changed hands
  unasked: answers that nobody asked for
  announcements: gratuitous requests and answers
  most_in_window: most of the two in one window
  forged: packets whose Ethernet source is not the ARP sender
  addresses: addresses that this MAC claims
references:
  - "RFC 826 (ARP); RFC 5227 (IPv4 Address Conflict Detection), 2.4"
  - "MITRE ATT&CK T1557.002, ARP Cache Poisoning"
false_positives:
  - failover that goes forth and back (VRRP, keepalived, clusters that move an address)
  - proxy ARP and access points that answer for others (sender and frame differ)
  - a mirror that shows answers and not the requests
  - two hosts with the same address by mistake, which is worth knowing all the same
*/
WITH claims AS (  -- whoever sends ARP says that the sender's address is its own; probes (0.0.0.0) claim nothing
    SELECT
        network, src_ip AS ip, src_mac AS mac, eth_src, dst_ip, operation, ts,
        operation = 2 AND dst_ip <> src_ip AS answer,
        src_ip = dst_ip AS announcement
    FROM arp
    WHERE src_ip <> '0.0.0.0' AND src_mac IS NOT NULL AND src_mac NOT IN ('00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff')
),
requests AS (
    SELECT network, src_ip AS asker, dst_ip AS ip, ts FROM arp WHERE operation = 1 AND src_ip <> dst_ip
),
asked AS (  -- the last request for this address by whom the answer goes to
    SELECT c.*, epoch(c.ts) AS t, r.ts AS asked_at
    FROM claims c
    ASOF LEFT JOIN requests r ON r.network = c.network AND r.ip = c.ip AND r.asker = c.dst_ip AND r.ts <= c.ts
),
answers AS (  -- one answer to a request is asked for, and no second one
    SELECT
        *,
        answer AND (
            asked_at IS NULL
            OR epoch(ts) - epoch(asked_at) > $asked_within
            OR coalesce(lag(asked_at) OVER (PARTITION BY network, ip, mac, dst_ip, answer ORDER BY ts) = asked_at, false)
        ) AS unasked
    FROM asked
),
judged AS (
    SELECT
        *,
        announcement OR unasked AS unwanted,
        eth_src IS NOT NULL AND eth_src <> mac AS forged,
        lag(mac) OVER (PARTITION BY network, ip ORDER BY ts, mac) AS before
    FROM answers
),
crowded AS (
    SELECT
        *,
        count(*) FILTER (unwanted)
            OVER (PARTITION BY network, ip, mac ORDER BY t RANGE BETWEEN $window PRECEDING AND CURRENT ROW) AS in_window
    FROM judged
),
holders AS (
    SELECT
        network, ip, mac,
        count(*) AS claims,
        min(ts) AS ts_first,
        max(ts) AS ts_last,
        count(*) FILTER (unasked) AS unasked,
        count(*) FILTER (announcement) AS announcements,
        max(in_window) AS most_in_window,
        count(*) FILTER (forged) AS forged,
        any_value(eth_src) FILTER (forged) AS forger
    FROM crowded
    GROUP BY ALL
),
turns AS (SELECT network, ip, count(*) FILTER (before <> mac) AS turns FROM crowded GROUP BY ALL),
-- In turn: each claims before the other's last claim. One after the other is how addresses are used again.
contested AS (
    SELECT a.network, a.ip, a.mac, count(*) AS n, string_agg(b.mac, ', ' ORDER BY b.mac) AS others,
        bool_and(a.ts_first > b.ts_first) AS later
    FROM holders a JOIN holders b ON b.network = a.network AND b.ip = a.ip AND b.mac <> a.mac
    WHERE a.ts_first <= b.ts_last AND b.ts_first <= a.ts_last
    GROUP BY ALL
),
many AS (SELECT network, mac, count(DISTINCT ip) AS addresses FROM holders GROUP BY ALL),
signs AS (
    SELECT
        h.*, t.turns, c.others, m.addresses,
        coalesce(c.later, false) AS intrudes,
        h.most_in_window >= $flood AS floods
    FROM holders h
    JOIN turns t USING (network, ip)
    JOIN many m USING (network, mac)
    LEFT JOIN contested c USING (network, ip, mac)
)
SELECT
    mac || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    ip AS object,
    least(1.0, CASE WHEN intrudes THEN 0.7 ELSE 0.0 END + CASE WHEN floods THEN 0.5 ELSE 0.0 END + CASE WHEN forged > 0 THEN 0.4 ELSE 0.0 END)
        AS score,
    ts_first,
    ts_last,
    CAST([] AS BIGINT[]) AS flow_ids,
    0 AS flows,
    format('{} claimed {} in {:,} ARP packets', mac, ip, claims)
    || CASE WHEN intrudes THEN format('; so did {}, and the address changed hands {:,} times', others, turns) ELSE '' END
    || CASE
        WHEN floods
            THEN format('; {:,} were answers nobody asked for and {:,} announcements, up to {:,} within {:.0f} s', unasked, announcements, most_in_window, $window)
        ELSE ''
    END
    || CASE WHEN forged > 0 THEN format('; {:,} came in frames of another sender ({})', forged, forger) ELSE '' END AS why,
    CASE WHEN intrudes THEN 'high' WHEN floods THEN 'medium' ELSE 'low' END AS severity,
    network,
    mac,
    claims,
    others,
    turns,
    unasked,
    announcements,
    most_in_window,
    forged,
    addresses
FROM signs
WHERE intrudes OR floods OR forged > 0
ORDER BY score DESC, subject, object
