/*
id: self-signed
title: Self-signed certificate
description: >
  A server shows a TLS certificate whose issuer is its own subject, so that nobody vouches for it: what tools of attackers bring
  with them, and many a management interface too. Outside it weighs more than inside, and an authority's own certificate at the end
  of a chain is none. One finding for each server and certificate. From TLS 1.3 on certificates are encrypted and not seen.
severity: low
attack: [T1573.002, T1587.003]
parameters:
  servers: {type: prefixes, default: [], help: "servers of which it is known"}
  internal: {type: prefixes, default: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, "fc00::/7", "fe80::/10"], help: what is inside}
columns:
  network: tenant scope
  outside: whether the server lies outside
  subject_name: whom the certificate is for, and who issued it
  not_before: valid from, UTC
  not_after: valid until, UTC
  valid_days: for how many days it is valid in all
  sha256: the certificate's SHA-256
  ports: the server's ports, at most five
  names: server names that clients asked for, at most five
  clients: clients that were shown it
  accepted: connections that went on all the same
  refused: connections that ended without
references:
  - "RFC 5280, 3.2: self-signed certificates"
  - "MITRE ATT&CK T1587.003, Digital Certificates"
false_positives:
  - management interfaces of hypervisors, switches, printers and appliances; name theirs in servers
  - RDP, whose servers sign their own unless they are told otherwise
  - agents and clusters that hand out such certificates to each other and compare their fingerprints
*/
WITH certificates AS (
    SELECT
        f.network, f.dst_ip, t.cert_sha256,
        len(list_filter($internal, lambda p: any_value(f.dst_addr) BETWEEN p.low AND p.high)) = 0 AS outside,
        any_value(coalesce(t.cert_subject, '')) AS subject_name,
        any_value(t.cert_not_before) AS not_before,
        any_value(t.cert_not_after) AS not_after,
        array_to_string(list_sort(list(DISTINCT f.dst_port))[1:5], ', ') AS ports,
        array_to_string(list_sort(list(DISTINCT t.sni))[1:5], ', ') AS names,
        count(DISTINCT f.src_ip) AS clients,
        count(*) FILTER (t.established) AS accepted,
        count(*) FILTER (NOT t.established) AS refused,
        min(t.ts) AS ts_first,
        max(greatest(t.ts, f.ts_end)) AS ts_last,
        list(DISTINCT f.flow_id ORDER BY f.flow_id)[1:1000] AS flow_ids,
        count(DISTINCT f.flow_id) AS flows
    FROM tls t JOIN flows f USING (flow_id)
    WHERE t.cert_self_signed AND t.cert_sha256 IS NOT NULL AND len(list_filter($servers, lambda p: f.dst_addr BETWEEN p.low AND p.high)) = 0
    GROUP BY f.network, f.dst_ip, t.cert_sha256
)
SELECT
    dst_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    'certificate ' || cert_sha256[1:16] AS object,
    CASE WHEN outside THEN 0.5 ELSE 0.2 END + CASE WHEN accepted > 0 THEN 0.2 ELSE 0.0 END AS score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format(
        '{}, which lies {}, showed {:,} clients a certificate that it signed itself, for {}; {:,} connections went on all the same',
        dst_ip, CASE WHEN outside THEN 'outside' ELSE 'inside' END, clients, coalesce(nullif(subject_name[1:200], ''), 'nobody'), accepted
    ) AS why,
    CASE WHEN outside AND accepted > 0 THEN 'medium' WHEN outside OR accepted > 0 THEN 'low' ELSE 'info' END AS severity,
    network,
    outside,
    subject_name,
    not_before,
    not_after,
    (epoch_us(not_after) - epoch_us(not_before)) / 86400e6 AS valid_days,
    cert_sha256 AS sha256,
    ports,
    names,
    clients,
    accepted,
    refused
FROM certificates
ORDER BY score DESC, subject, object
