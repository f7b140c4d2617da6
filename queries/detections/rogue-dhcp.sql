/*
id: rogue-dhcp
title: A second DHCP server
description: >
  More than one DHCP server answers in a network. Who answers DHCP says which router and which name servers clients use, and so
  can put itself between them and everybody. The server that answered first is taken to be the network's own, unless servers are
  named; each other one is a finding, a grave one where it names another router or other name servers than the first, or where
  both answered one and the same question. Answers that came through relays are set against those through the same relay.
severity: medium
attack: [T1557.003]
parameters:
  servers: {type: prefixes, default: [], help: "the network's own servers; where any are named, every other one is a finding"}
columns:
  network: tenant scope
  relay: the relay agent whose answers are compared; empty where there was none
  version: 4 or 6
  own: servers that are taken to be the network's own
  server_mac: MACs of this server's frames
  offers: offers and advertisements of this server
  leases: acknowledgements and replies of this server
  clients: clients that it answered
  raced: questions that it and one of the network's own both answered
  routers: routers that it gave
  own_routers: routers that the others gave
  dns_servers: name servers that it gave
  own_dns_servers: name servers that the others gave
references:
  - "RFC 2131, 3.1: several servers may answer; the client chooses"
  - "RFC 7610 (DHCPv6-Shield)"
  - "MITRE ATT&CK T1557.003, DHCP Spoofing"
false_positives:
  - two servers by intent (failover, split scopes); they give the same routers and name servers. Name both in servers
  - a server that took the place of another
  - several segments that are seen as one network, since their VLANs do not show
  - a stranger that answered before the network's own server did is taken for it; name yours in servers
*/
WITH answers AS (
    SELECT
        f.network,
        coalesce(d.relay_ip, '') AS relay,
        d.version,
        coalesce(d.server_ip, CASE WHEN f.src_port IN (67, 547) THEN f.src_ip ELSE f.dst_ip END) AS server,
        CASE WHEN f.src_port IN (67, 547) THEN f.src_addr ELSE f.dst_addr END AS address,
        CASE WHEN f.src_port IN (67, 547) THEN f.src_mac ELSE f.dst_mac END AS mac,
        d.message IN ('OFFER', 'ADVERTISE') AS offer,
        d.xid, coalesce(d.client_mac, d.client_id) AS client, d.routers, d.dns_servers,
        d.ts, f.ts_end, f.flow_id
    FROM dhcp d JOIN flows f USING (flow_id)
    WHERE d.message IN ('OFFER', 'ACK', 'ADVERTISE', 'REPLY')
),
ranked AS (
    SELECT
        *,
        len(list_filter($servers, lambda p: address BETWEEN p.low AND p.high)) > 0 AS named,
        arg_min(server, ts) OVER (PARTITION BY network, relay, version) AS earliest
    FROM answers
),
judged AS (SELECT *, CASE WHEN len(list_filter($servers, lambda p: p.low <= p.high)) > 0 THEN named ELSE server = earliest END AS own FROM ranked),
owners AS (
    SELECT
        network, relay, version,
        string_agg(DISTINCT server, ', ' ORDER BY server) AS own,
        list(DISTINCT routers) FILTER (routers IS NOT NULL) AS routers,
        list(DISTINCT dns_servers) FILTER (dns_servers IS NOT NULL) AS dns_servers
    FROM judged
    WHERE own
    GROUP BY ALL
),
races AS (
    SELECT a.network, a.relay, a.version, a.server, count(DISTINCT (a.xid, a.client)) AS raced
    FROM judged a SEMI JOIN judged b
        ON b.own AND b.network = a.network AND b.relay = a.relay AND b.version = a.version AND b.xid = a.xid AND b.client = a.client
    WHERE NOT a.own
    GROUP BY ALL
),
strangers AS (
    SELECT
        network, relay, version, server,
        string_agg(DISTINCT mac, ', ' ORDER BY mac) AS server_mac,
        count(*) FILTER (offer) AS offers,
        count(*) FILTER (NOT offer) AS leases,
        count(DISTINCT client) AS clients,
        list_sort(coalesce(list(DISTINCT routers) FILTER (routers IS NOT NULL), [])) AS routers,
        list_sort(coalesce(list(DISTINCT dns_servers) FILTER (dns_servers IS NOT NULL), [])) AS dns_servers,
        min(ts) AS ts_first,
        max(greatest(ts, ts_end)) AS ts_last,
        list(DISTINCT flow_id ORDER BY flow_id)[1:1000] AS flow_ids,
        count(DISTINCT flow_id) AS flows
    FROM judged
    WHERE NOT own
    GROUP BY ALL
),
compared AS (
    SELECT
        s.*,
        coalesce(o.own, '') AS own,
        list_sort(coalesce(o.routers, [])) AS own_routers,
        list_sort(coalesce(o.dns_servers, [])) AS own_dns_servers,
        coalesce(r.raced, 0) AS raced,
        NOT list_has_all(coalesce(o.routers, []), s.routers) AS other_router,
        NOT list_has_all(coalesce(o.dns_servers, []), s.dns_servers) AS other_names
    FROM strangers s
    LEFT JOIN owners o USING (network, relay, version)
    LEFT JOIN races r USING (network, relay, version, server)
)
SELECT
    server || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    CASE WHEN relay = '' THEN 'DHCPv' || version ELSE 'DHCPv' || version || ' through ' || relay END AS object,
    0.4 + CASE WHEN other_router THEN 0.3 WHEN other_names THEN 0.2 ELSE 0.0 END + CASE WHEN raced > 0 THEN 0.2 ELSE 0.0 END AS score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format('{} answered DHCP {:,} times for {:,} clients', server, offers + leases, clients)
    || CASE WHEN own = '' THEN ', and is none of the servers that were named' ELSE format(', where {} does', own) END
    || CASE WHEN raced > 0 THEN format('; {:,} questions had answers of both', raced) ELSE '' END
    || CASE WHEN other_router THEN format('; it gave the router {}', array_to_string(routers, ' or ')) ELSE '' END
    || CASE WHEN other_names THEN format('; it gave the name servers {}', array_to_string(dns_servers, ' or ')) ELSE '' END AS why,
    CASE WHEN other_router OR other_names THEN 'high' WHEN raced > 0 OR own = '' THEN 'medium' ELSE 'low' END AS severity,
    network,
    relay,
    version,
    own,
    server_mac,
    offers,
    leases,
    clients,
    raced,
    array_to_string(routers, ' or ') AS routers,
    array_to_string(own_routers, ' or ') AS own_routers,
    array_to_string(dns_servers, ' or ') AS dns_servers,
    array_to_string(own_dns_servers, ' or ') AS own_dns_servers
FROM compared
ORDER BY score DESC, subject, object
