/*
id: nfdump-csv
title: Output of nfdump as CSV
description: >
  What `nfdump -r FILE -o csv` prints, with its first line of names. The summary behind the records is told from them by its first
  word. Records are one direction each and pair as those of the files themselves do (`import nfdump`).
input: csv
recognise:
  - '\Ats,te,td,(sa,da|pr,sa)'
  - '\AfirstSeen,duration,proto,'
pair: 15
until: Summary
head: ts te td sa da sp dp pr flg fwd stos ipkt ibyt opkt obyt in out sas das smk dmk dtos dir nh nhb svln dvln ismc odmc idmc osmc mpls1 mpls2
  mpls3 mpls4 mpls5 mpls6 mpls7 mpls8 mpls9 mpls10 cl sl al ra eng exid tr
times: ts and te are local times of whoever ran nfdump, taken as UTC
fields: [ts, te, td, sa, da, sp, dp, pr, flg, fwd, stos, ipkt, ibyt, opkt, obyt, in, out, svln, ismc, odmc, idmc, firstSeen, duration, proto, srcAddr,
  srcPort, dstAddr, dstPort, packets, bytes, flags]
columns:
  src_port: "of ICMP the type: dp is type.code"
references:
  - "nfdump(1): output format csv"
*/
-- into flows
WITH read AS (
    SELECT *, coalesce(pr, proto) AS protocol, upper(coalesce(pr, proto)) IN ('ICMP', 'ICMP6', 'ICMPV6', 'IPV6-ICMP', '1', '58') AS icmp,
        coalesce(flg, flags) AS said,
        TRY_CAST(fwd AS INTEGER) // 64 AS status, coalesce(dp, dstPort) AS other, coalesce(sp, srcPort) AS one, td AS seconds
    FROM rows
), ports AS (
    SELECT *, list_sum(list_transform(string_split(coalesce(said, ''), ''), lambda c: CASE c WHEN 'F' THEN 1 WHEN 'S' THEN 2 WHEN 'R' THEN 4
            WHEN 'P' THEN 8 WHEN 'A' THEN 16 WHEN 'U' THEN 32 WHEN 'E' THEN 64 WHEN 'C' THEN 128 ELSE 0 END)) AS bits,
        CASE WHEN icmp THEN CASE WHEN strpos(other, '.') > 0 THEN TRY_CAST(split_part(other, '.', 1) AS INTEGER)
            ELSE TRY_CAST(other AS INTEGER) // 256 END END AS type
    FROM read
)
SELECT n, coalesce(ts, firstSeen) AS ts, te AS ts_end, protocol AS proto, coalesce(sa, srcAddr) AS src_ip, coalesce(da, dstAddr) AS dst_ip,
    CASE WHEN icmp THEN type ELSE TRY_CAST(one AS INTEGER) END AS src_port,
    CASE WHEN icmp THEN CASE type WHEN 8 THEN 0 WHEN 0 THEN 8 WHEN 128 THEN 129 WHEN 129 THEN 128
            ELSE CASE WHEN strpos(other, '.') > 0 THEN TRY_CAST(split_part(other, '.', 2) AS INTEGER) ELSE TRY_CAST(other AS INTEGER) % 256 END END
        ELSE TRY_CAST(other AS INTEGER) END AS dst_port,
    coalesce(ipkt, packets) AS src_pkts, coalesce(ibyt, bytes) AS src_bytes, opkt AS dst_pkts, obyt AS dst_bytes,
    CASE WHEN upper(protocol) IN ('TCP', '6') THEN bits END AS src_flags, CASE WHEN TRY_CAST(svln AS INTEGER) > 0 THEN svln END AS vlan,
    nullif(ismc, '00:00:00:00:00:00') AS src_mac, nullif(coalesce(nullif(idmc, '00:00:00:00:00:00'), odmc), '00:00:00:00:00:00') AS dst_mac,
    (upper(protocol) IN ('TCP', '6') AND bits & 18 = 2) OR coalesce(type IN (8, 128), false) AS oriented,
    CASE status WHEN 2 THEN 'deny' WHEN 1 THEN 'allow' END AS verdict
FROM ports
