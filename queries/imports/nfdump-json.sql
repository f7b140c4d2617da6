/*
id: nfdump-json
title: Output of nfdump as JSON
description: >
  What `nfdump -r FILE -o json` prints: an array, or objects one behind the other. Records are one direction each and pair as those
  of the files themselves do (`import nfdump`), except that several exporters' are not told apart by interface.
input: json
recognise:
  - '\A\s*\[?\s*\{\s*"type"\s*:\s*"(FLOW|EVENT)"'
pair: 15
times: first and last are local times of whoever ran nfdump, taken as UTC
fields: [first, last, t_first, t_last, in_packets, in_bytes, out_packets, out_bytes, proto, tcp_flags, src_port, dst_port, icmp_type, icmp_code,
  src4_addr, dst4_addr, src6_addr, dst6_addr, src_vlan, in_src_mac, out_dst_mac, in_dst_mac, fwd_status, export_sysid, src_addr, dst_addr]
columns:
  verdict: deny where the two upper bits of fwd_status are 2, allow where they are 1
references:
  - "nfdump(1): output format json"
*/
-- into flows
WITH read AS (
    SELECT *, TRY_CAST(proto AS INTEGER) IN (1, 58) AS icmp, TRY_CAST(fwd_status AS INTEGER) // 64 AS status,
        list_sum(list_transform(string_split(coalesce(tcp_flags, ''), ''), lambda c: CASE c WHEN 'F' THEN 1 WHEN 'S' THEN 2 WHEN 'R' THEN 4
            WHEN 'P' THEN 8 WHEN 'A' THEN 16 WHEN 'U' THEN 32 WHEN 'E' THEN 64 WHEN 'C' THEN 128 ELSE 0 END)) AS flags,
        TRY_CAST(icmp_type AS INTEGER) AS type
    FROM rows
)
SELECT n, coalesce("first", t_first) AS ts, coalesce("last", t_last) AS ts_end, proto, export_sysid AS point,
    coalesce(src4_addr, src6_addr, src_addr) AS src_ip, coalesce(dst4_addr, dst6_addr, dst_addr) AS dst_ip,
    CASE WHEN icmp THEN type ELSE TRY_CAST(src_port AS INTEGER) END AS src_port,
    CASE WHEN icmp THEN CASE type WHEN 8 THEN 0 WHEN 0 THEN 8 WHEN 128 THEN 129 WHEN 129 THEN 128 ELSE TRY_CAST(icmp_code AS INTEGER) END
        ELSE TRY_CAST(dst_port AS INTEGER) END AS dst_port,
    in_packets AS src_pkts, in_bytes AS src_bytes, out_packets AS dst_pkts, out_bytes AS dst_bytes,
    CASE WHEN proto = '6' THEN flags END AS src_flags, CASE WHEN TRY_CAST(src_vlan AS INTEGER) > 0 THEN src_vlan END AS vlan,
    nullif(in_src_mac, '00:00:00:00:00:00') AS src_mac, nullif(coalesce(nullif(in_dst_mac, '00:00:00:00:00:00'), out_dst_mac), '00:00:00:00:00:00') AS dst_mac,
    (proto = '6' AND flags & 18 = 2) OR type IN (8, 128) AS oriented,
    CASE status WHEN 2 THEN 'deny' WHEN 1 THEN 'allow' END AS verdict
FROM read
