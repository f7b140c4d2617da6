/*
id: flows_named
title: Flows with who their ends were
description: >
  Every row of flows, with the workloads that held its two addresses when it began (tables flow_identity and workloads).
  Names are null where nobody claims the address, and where several do with equal right.
columns:
  flow_id: source_id << 40 | n, n dense within a source by first packet
  source_id: row of `sources`
  sensor: name of the observation point
  network: 'tenant scope: '''' untagged, vlan:100, vni:5001 and so on'
  ts: first packet
  ts_end: last packet
  duration: first packet to last, without stragglers after TCP closed both ways, as Zeek
  src_ip: originator's address, canonical text (RFC 5952)
  dst_ip: responder's address, canonical text
  src_addr: originator's address, 16 bytes, IPv4 mapped
  dst_addr: responder's address, 16 bytes, IPv4 mapped
  src_port: 'originator''s port; ICMP: type'
  dst_port: 'responder''s port; ICMP: counterpart type, or code where one-way'
  proto: IANA protocol number
  proto_name: protocol keyword as IANA writes it, lower case
  src_mac: originator's MAC, innermost Ethernet header
  dst_mac: responder's MAC, innermost Ethernet header
  outer_src_mac: source MAC of the outermost Ethernet header, where tunnelled
  outer_dst_mac: destination MAC of the outermost Ethernet header, where tunnelled
  vlan: first tag of the innermost Ethernet header
  inner_vlan: second tag of the innermost Ethernet header (QinQ)
  outer_vlan: first tag of the outermost Ethernet header, where tunnelled
  tunnel: tunnels, innermost to outermost, such as erspan3/gre
  vni: innermost VXLAN, Geneve or NVGRE network id
  outer_src_ip: tunnel endpoint on the originator's side
  outer_dst_ip: tunnel endpoint on the responder's side
  service: application protocol seen, not guessed from the port
  conn_state: Zeek's connection state
  history: Zeek's history letters; upper case is the originator
  src_pkts: packets from the originator
  dst_pkts: packets from the responder
  src_bytes: IP bytes from the originator
  dst_bytes: IP bytes from the responder
  src_payload: 'transport payload from the originator (TCP: by sequence numbers)'
  dst_payload: transport payload from the responder
  src_flags: TCP flags seen from the originator, ORed
  dst_flags: TCP flags seen from the responder, ORed
  rtt_us: SYN to SYN+ACK as seen at the sensor
  retransmits: TCP segments sent again, both directions
  end_reason: 'IPFIX flowEndReason: 1 idle, 2 active, 3 end seen, 4 forced, 5 no resources; null while open'
  sampling: 1 in N; counts are as observed
  verdict: verdict in this row's own telemetry
  rule_id: rule in this row's own telemetry
  community_id: Community ID v1 of the innermost tuple
  first_offset: where its first packet's record starts in the (decompressed, joined) source
  last_offset: where its last packet's record starts
  src_hi: 'originator''s address: upper 64 bits of src_addr, two''s complement; 0 for IPv4'
  src_lo: 'originator''s address: lower 64 bits, two''s complement'
  dst_hi: 'responder''s address: upper 64 bits of dst_addr, two''s complement; 0 for IPv4'
  dst_lo: 'responder''s address: lower 64 bits, two''s complement'
  src_uid: originator, what its manager calls it for ever
  src_name: originator, its name
  src_namespace: originator, namespace, project or tenant that the name is in
  src_kind: originator, pod, vm, container, host, node, service, nat or name (of DNS)
  src_node: originator, machine that it ran on
  src_labels: originator, JSON object of text to text
  src_origin: originator, origins of the claims that say so
  src_confidence: originator, how strong these claims are, 0 to 1
  src_claimants: how many claim the originator's address with equal right; above 1 no name is given
  dst_uid: responder, what its manager calls it for ever
  dst_name: responder, its name
  dst_namespace: responder, namespace, project or tenant that the name is in
  dst_kind: responder, pod, vm, container, host, node, service, nat or name (of DNS)
  dst_node: responder, machine that it ran on
  dst_labels: responder, JSON object of text to text
  dst_origin: responder, origins of the claims that say so
  dst_confidence: responder, how strong these claims are, 0 to 1
  dst_claimants: how many claim the responder's address with equal right; above 1 no name is given
  ambiguous: whether several claim one of the ends; view flow_claimants lists who
*/
SELECT
    f.*,
    src.uid AS src_uid,
    src.name AS src_name,
    src.namespace AS src_namespace,
    src.kind AS src_kind,
    src.node AS src_node,
    src.labels AS src_labels,
    src.origin AS src_origin,
    src.confidence AS src_confidence,
    CAST(coalesce(i.src_claimants, 0) AS INTEGER) AS src_claimants,
    dst.uid AS dst_uid,
    dst.name AS dst_name,
    dst.namespace AS dst_namespace,
    dst.kind AS dst_kind,
    dst.node AS dst_node,
    dst.labels AS dst_labels,
    dst.origin AS dst_origin,
    dst.confidence AS dst_confidence,
    CAST(coalesce(i.dst_claimants, 0) AS INTEGER) AS dst_claimants,
    coalesce(i.ambiguous, false) AS ambiguous
FROM flows f
LEFT JOIN flow_identity i ON i.flow_id = f.flow_id
LEFT JOIN workloads src ON src.workload_id = i.src_wid
LEFT JOIN workloads dst ON dst.workload_id = i.dst_wid
