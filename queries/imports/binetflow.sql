/*
id: binetflow
title: Argus flows as CSV
description: >
  What ra of Argus (of QoSient, not of NVIDIA) writes with -c ',', as the sets of labelled flows (.binetflow) have it: one line a
  flow, both directions counted together, and the bytes of the source apart. Packets are not told by direction: all are the
  source's where nothing came back, else they are shared by bytes.
input: csv
recognise:
  - '\AStartTime,Dur,Proto,SrcAddr,'
times: StartTime is local time of whoever ran ra, taken as UTC; Dur is seconds
fields: [StartTime, Dur, Proto, SrcAddr, Sport, Dir, DstAddr, Dport, State, sTos, dTos, TotPkts, TotBytes, SrcBytes, Label]
columns:
  src_bytes: SrcBytes, of layer 2 frames
  src_port: decimal, or hexadecimal behind 0x as ra writes types of ICMP
  conn_state: null; the states of Argus are of its own kind
references:
  - "QoSient, ra(1): fields and their formats"
*/
-- into flows
WITH read AS (
    SELECT *, TRY_CAST(TotPkts AS BIGINT) AS packets, TRY_CAST(TotBytes AS BIGINT) AS bytes, TRY_CAST(SrcBytes AS BIGINT) AS sent,
        trim(Dir) AS arrow, replace(StartTime, '/', '-') AS moment
    FROM rows
), shared AS (
    SELECT *, CASE WHEN bytes IS NULL OR sent IS NULL OR bytes <= sent OR packets < 2 THEN packets
            ELSE greatest(1, least(packets - 1, CAST(round(packets * (sent / CAST(bytes AS DOUBLE))) AS BIGINT))) END AS out_packets
    FROM read
), ends AS (
    SELECT *, arrow = '<-' AS back, TRY_CAST(Sport AS INTEGER) AS one, TRY_CAST(Dport AS INTEGER) AS other FROM shared
)
SELECT n, moment AS ts, Dur AS duration, lower(Proto) AS proto,
    CASE WHEN back THEN DstAddr ELSE SrcAddr END AS src_ip, CASE WHEN back THEN SrcAddr ELSE DstAddr END AS dst_ip,
    CASE WHEN back THEN other ELSE one END AS src_port, CASE WHEN back THEN one ELSE other END AS dst_port,
    CASE WHEN back THEN packets - out_packets ELSE out_packets END AS src_pkts,
    CASE WHEN back THEN out_packets ELSE packets - out_packets END AS dst_pkts,
    CASE WHEN back THEN greatest(0, bytes - sent) ELSE sent END AS src_bytes,
    CASE WHEN back THEN sent ELSE greatest(0, bytes - sent) END AS dst_bytes
FROM ends
