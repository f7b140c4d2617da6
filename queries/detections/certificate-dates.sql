/*
id: certificate-dates
title: Certificate out of date
description: >
  A server shows a TLS certificate that has expired, or that is not valid yet, by the time of the flow in which it was seen,
  never by today's clock. Clients that went on all the same check nothing, and would take an attacker's certificate as well; those
  that broke off said so. One finding for each server and certificate. From TLS 1.3 on certificates are encrypted and not seen.
severity: medium
attack: [T1557, T1573.002]
parameters:
  grace: {type: duration, default: 0s, help: "how long after its end, or before its beginning, a certificate is let pass"}
  ahead: {type: duration, default: 1825d, help: "nobody issues so far ahead: beyond it the sensor's clock is wrong, and nothing is found"}
  servers: {type: prefixes, default: [], help: "servers of which it is known"}
columns:
  network: tenant scope
  fault: expired, or not yet valid
  subject_name: whom the certificate is for
  issuer_name: who issued it
  not_before: valid from, UTC
  not_after: valid until, UTC
  days: days past its end, or before its beginning, when it was seen last
  self_signed: whether it signed itself
  sha256: the certificate's SHA-256
  ports: the server's ports, at most five
  names: server names that clients asked for, at most five
  clients: clients that were shown it
  accepted: connections that went on all the same
  refused: connections that ended without
references:
  - "RFC 5280, 4.1.2.5 (Validity)"
  - "MITRE ATT&CK T1557, Adversary-in-the-Middle"
false_positives:
  - management interfaces, printers and appliances whose certificates nobody renews
  - a sensor whose clock is wrong; then every certificate of one issuer is off by as much
*/
WITH shown AS (
    SELECT
        f.network, f.src_ip, f.dst_ip, f.dst_port, f.flow_id, f.ts_end, t.ts, t.sni, t.established,
        t.cert_sha256, t.cert_subject, t.cert_issuer, t.cert_not_before, t.cert_not_after, t.cert_self_signed,
        (epoch_us(t.ts) - epoch_us(t.cert_not_after)) / 1e6 AS late,
        (epoch_us(t.cert_not_before) - epoch_us(t.ts)) / 1e6 AS early
    FROM tls t JOIN flows f USING (flow_id)
    WHERE
        t.cert_sha256 IS NOT NULL
        AND (t.ts > t.cert_not_after OR t.ts < t.cert_not_before)
        AND len(list_filter($servers, lambda p: f.dst_addr BETWEEN p.low AND p.high)) = 0
),
certificates AS (
    SELECT
        network, dst_ip, cert_sha256,
        CASE WHEN late > $grace THEN 'expired' ELSE 'not yet valid' END AS fault,
        any_value(coalesce(cert_subject, '')) AS subject_name,
        any_value(coalesce(cert_issuer, '')) AS issuer_name,
        any_value(cert_not_before) AS not_before,
        any_value(cert_not_after) AS not_after,
        arg_max(greatest(late, early), ts) / 86400 AS days,
        any_value(cert_self_signed) AS self_signed,
        array_to_string(list_sort(list(DISTINCT dst_port))[1:5], ', ') AS ports,
        array_to_string(list_sort(list(DISTINCT sni))[1:5], ', ') AS names,
        count(DISTINCT src_ip) AS clients,
        count(*) FILTER (established) AS accepted,
        count(*) FILTER (NOT established) AS refused,
        min(ts) AS ts_first,
        max(greatest(ts, ts_end)) AS ts_last,
        list(DISTINCT flow_id ORDER BY flow_id)[1:1000] AS flow_ids,
        count(DISTINCT flow_id) AS flows
    FROM shown
    WHERE late > $grace OR early BETWEEN $grace AND $ahead
    GROUP BY ALL
)
SELECT
    dst_ip || CASE WHEN network = '' THEN '' ELSE ' in ' || network END AS subject,
    'certificate ' || cert_sha256[1:16] AS object,
    CASE WHEN accepted > 0 THEN 0.7 ELSE 0.4 END AS score,
    ts_first,
    ts_last,
    flow_ids,
    flows,
    format(
        '{} showed {:,} clients a certificate for {} that {}; {:,} connections went on all the same',
        dst_ip, clients, coalesce(nullif(subject_name[1:200], ''), 'nobody'),
        CASE fault
            WHEN 'expired' THEN format('had expired {:.0f} days before', floor(days))
            ELSE format('was not to be valid for another {:.0f} days', ceil(days))
        END,
        accepted
    ) AS why,
    CASE WHEN accepted > 0 THEN 'medium' ELSE 'low' END AS severity,
    network,
    fault,
    subject_name,
    issuer_name,
    not_before,
    not_after,
    days,
    self_signed,
    cert_sha256 AS sha256,
    ports,
    names,
    clients,
    accepted,
    refused
FROM certificates
ORDER BY score DESC, subject, object
