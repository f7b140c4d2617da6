/*
id: vpcflow
title: AWS VPC flow logs
description: >
  Flow logs of VPCs as text, every version: fields in the order that the first line names, or, without such a line, in the order of
  the default format (version 2). Each line is one direction at one network interface in one window; both directions, windows that
  follow each other, and what both interfaces told become one flow, with the packets of the interface that saw the most.
  NODATA and SKIPDATA are counted as records that the service left out.
input: csv
separator: " "
head: version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
recognise:
  - '\A(\S+ )*(srcaddr|pkt-srcaddr|interface-id)( \S+)*[ \r]*$'
  - '\A[2-9] (\d{12}|unknown) eni-[0-9a-f]+ \S+ \S+ \S+ \S+ \S+ \S+ \S+ \d+ \d+ \S+ (OK|NODATA|SKIPDATA)\s*$'
pair: 300
nothing: ["-"]
times: start and end are seconds since 1970, of the first and last packet within the window
fields: [version, account-id, interface-id, srcaddr, dstaddr, srcport, dstport, protocol, packets, bytes, start, end, action, log-status,
  vpc-id, subnet-id, instance-id, tcp-flags, type, pkt-srcaddr, pkt-dstaddr, region, az-id, flow-direction, traffic-path, reject-reason,
  encryption-status]
columns:
  src_flags: tcp-flags of the window, ORed
  verdict: allow for ACCEPT, deny for REJECT at either interface
  rule_id: reject-reason, where there is one
  sensor: interface-id, else the name of the file
  src_ip: pkt-srcaddr where it is told, else srcaddr
references:
  - "AWS, VPC user guide: flow log records, available fields"
*/
-- into flows
WITH read AS (
    SELECT *, TRY_CAST(protocol AS INTEGER) AS proto_number, TRY_CAST("tcp-flags" AS INTEGER) AS flags
    FROM rows
)
SELECT n, "start" AS ts, "end" AS ts_end, protocol AS proto, "interface-id" AS sensor, "interface-id" AS point,
    coalesce("pkt-srcaddr", srcaddr) AS src_ip, coalesce("pkt-dstaddr", dstaddr) AS dst_ip,
    CASE WHEN proto_number NOT IN (1, 58) THEN srcport END AS src_port, CASE WHEN proto_number NOT IN (1, 58) THEN dstport END AS dst_port,
    packets AS src_pkts, bytes AS src_bytes, CASE WHEN proto_number = 6 THEN flags END AS src_flags,
    proto_number = 6 AND coalesce(flags, 0) & 18 = 2 AS oriented,
    CASE upper(action) WHEN 'ACCEPT' THEN 'allow' WHEN 'REJECT' THEN 'deny' END AS verdict, "reject-reason" AS rule_id,
    CASE WHEN "log-status" = 'NODATA' THEN 'records_skipped: NODATA, nothing came in the window'
        WHEN "log-status" = 'SKIPDATA' THEN 'records_skipped: SKIPDATA, the service left records out' END AS reject
FROM read
