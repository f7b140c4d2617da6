/*
id: away-from-home
title: Protocols on another's port
description: >
  Who speaks a protocol where it is not at home: on the home port of another (SSH on 443, TLS on 22), or, for those that hardly
  ever move on purpose (DNS, FTP, Kerberos, LDAP, RDP, SMB, SSH, Telnet), anywhere else. Firewalls that go by ports let it pass.
  The same flows as the filter service.unexpected.
kind: hunt
attack: [T1571]
parameters:
  least: {type: integer, default: 1, help: connections of a pair at least}
  rows: {type: integer, default: 500, help: rows at most}
columns:
  network: tenant scope
  src_ip: who asks
  dst_ip: whom
  service: protocol that was recognised
  proto_name: over which transport
  dst_port: on which port
  home_of: whose home that port is; null where it is nobody's
  connections: flows
  bytes: IP bytes, both directions
  ts_first: first packet, UTC
  ts_last: last packet, UTC
references:
  - "MITRE ATT&CK, T1571 Non-Standard Port"
false_positives:
  - services that were moved on purpose (SSH on 2222, a resolver on 5353), plain HTTP sent to a TLS port by mistake, TURN on 443
*/
WITH homes(outside, proto, ports) AS (
    -- of the registry of protocols, which may know more by now: a test holds these against it
    VALUES
        ('amqp', 6, [5672]), ('bfd', 17, [3784, 4784]), ('bgp', 6, [179]), ('bitcoin', 6, [8333]), ('bittorrent', 6, [6881]),
        ('bittorrent', 17, [6881]), ('ceph', 6, [3300, 6789, 6800]), ('dcerpc', 6, [135, 593]), ('dcerpc', 17, [135, 593]),
        ('dhcp', 17, [67, 68, 546, 547, 4011]), ('diameter', 6, [3868]), ('dnp3', 6, [20000]), ('dns', 6, [53]),
        ('dns', 17, [53]), ('dnscrypt', 6, []), ('dtls', 17, [443, 4433, 5684]), ('fix', 6, []), ('ftp', 6, [21, 2121]),
        ('gearman', 6, [4730]), ('git', 6, [9418]), ('http', 6, [80, 3128, 8000, 8008, 8080, 8888]),
        ('http2', 6, [80, 3128, 8000, 8008, 8080, 8888]), ('iec104', 6, [2404]), ('imap', 6, [143]), ('irc', 6, [6667]),
        ('isakmp', 17, [500]), ('iscsi', 6, [860, 3260]), ('kerberos', 6, [88]), ('kerberos', 17, [88]),
        ('ldap', 6, [389, 636, 3268, 3269]), ('ldap', 17, [389, 636, 3268, 3269]), ('llmnr', 6, [5355]), ('llmnr', 17, [5355]),
        ('mdns', 17, [5353]), ('megaco', 17, [2944]), ('memcached', 6, [11211]), ('memcached', 17, [11211]),
        ('mgcp', 17, [2427, 2727]), ('modbus', 6, [502]), ('mongodb', 6, [27017]), ('mqtt', 6, [1883]), ('mysql', 6, [3306]),
        ('nats', 6, [4222]), ('nbns', 17, [137]), ('netbios-dgm', 17, [138]), ('nfs', 6, [111, 2049, 20048]),
        ('nfs', 17, [111, 2049, 20048]), ('ntp', 17, [123]), ('nvme', 6, [4420, 8009]), ('openflow', 6, [6633, 6653]),
        ('openvpn', 6, [1194]), ('openvpn', 17, [1194]), ('ovsdb', 6, [6640, 6641, 6642]), ('pop3', 6, [110]),
        ('postgresql', 6, [5432]), ('quic', 17, [443]), ('radius', 17, [1645, 1646, 1812, 1813]), ('radmin', 6, [4899]),
        ('rdma', 17, [4791]), ('rdp', 6, [3389]), ('rdpeudp', 17, [3389]), ('redis', 6, [6379]), ('rfb', 6, [5900, 5901]),
        ('rip', 17, [520, 521]), ('rsync', 6, [873]), ('rtcp', 17, [5005]), ('rtmp', 6, [1935]), ('rtsp', 6, [554, 8554]),
        ('sip', 6, [5060]), ('sip', 17, [5060]), ('slp', 6, [427]), ('slp', 17, [427]), ('smb', 6, [139, 445]),
        ('smtp', 6, [25, 587, 2525]), ('snmp', 6, [161, 162]), ('snmp', 17, [161, 162]), ('socks', 6, [1080]),
        ('ssdp', 17, [1900]), ('ssh', 6, [22]), ('stun', 6, [3478, 3479]), ('stun', 17, [3478, 3479]),
        ('syslog', 6, [514, 601]), ('syslog', 17, [514, 601]), ('tacacs', 6, [49]), ('tds', 6, [1433, 1434]),
        ('telnet', 6, [23]), ('tftp', 17, [69]),
        ('tls', 6, [389, 443, 465, 636, 853, 989, 990, 992, 993, 994, 995, 1433, 1434, 3268, 3269, 4420, 5061, 5432, 6379, 6443, 6633, 6640, 6641, 6642, 6653, 8009, 8443, 10250, 11211, 27017]),
        ('tls', 17, [389, 636, 3268, 3269, 11211]), ('vmware-auth', 6, [902]), ('wireguard', 17, [51820]), ('x11', 6, [6000]),
        ('xmpp', 6, [5222, 5269])
),
home AS (
    SELECT outside, proto, unnest(ports::INTEGER[]) AS port FROM homes
),
owners AS (
    SELECT proto, port, string_agg(outside, ', ' ORDER BY outside) AS home_of FROM home GROUP BY proto, port
),
heard AS (
    SELECT *, split_part(service, ',', 1) AS outside FROM flows WHERE service IS NOT NULL AND proto IN (6, 17, 132)
)
SELECT
    f.network, f.src_ip, f.dst_ip, f.service, f.proto_name, f.dst_port,
    any_value(o.home_of) AS home_of,
    count(*) AS connections,
    sum((f.src_bytes + f.dst_bytes) * f.sampling)::BIGINT AS bytes,
    min(f.ts) AS ts_first,
    max(f.ts_end) AS ts_last
FROM heard f
LEFT JOIN owners o ON o.proto = f.proto AND o.port = f.dst_port
WHERE
    f.outside IN (SELECT outside FROM homes)
    AND (o.home_of IS NOT NULL OR f.outside IN ('dns', 'ftp', 'kerberos', 'ldap', 'rdp', 'smb', 'ssh', 'telnet'))
    AND (f.outside, f.proto, f.dst_port) NOT IN (SELECT * FROM home)
    AND (f.dst_port < 1024 OR (f.outside, f.proto, f.src_port) NOT IN (SELECT * FROM home))
GROUP BY f.network, f.src_ip, f.dst_ip, f.service, f.proto_name, f.dst_port
HAVING count(*) >= $least
ORDER BY connections DESC, ts_first, f.src_ip, f.dst_ip, f.dst_port
LIMIT $rows
