"""A case of any number of flows, made in SQL, to measure what reading one costs.

python -m benchmarks.synthetic_case DIR --flows 20000000

Time stamps rise with the flow number as they do in a real case (rows lie in the order flows ended, so only
nearly sorted), addresses and ports follow a skewed distribution, one flow in 500 lasts over a minute and has
slices. Nothing is random: the same size gives the same case.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from workbench.store.case import CaseFolder
from workbench.store.engine import attach, connect
from workbench.store.publish import publish_database
from workbench.store.schema import create_schema

_START_US = 1_700_000_000_000_000
#: 10.0.0.0, IPv4 mapped, as a number.
_MAPPED = (0xFFFF << 32) + (10 << 24)

#: h1..h4: independent 64-bit hashes of the flow number; skewed(x, n) favours small values.
_ROWS = """
INSERT INTO c.flows BY NAME
SELECT
    (1::BIGINT << 40) + i AS flow_id, 1::BIGINT AS source_id, 'leaf-1' AS sensor,
    CASE WHEN h1 % 4 = 0 THEN 'vni:' || (5000 + h1 // 7 % 20) ELSE 'vlan:' || (100 + h1 // 7 % 40) END AS network,
    make_timestamp(t) AS ts, make_timestamp(t + d) AS ts_end, d / 1000000.0 AS duration,
    '10.' || (s // 256 // 256 % 256) || '.' || (s // 256 % 256) || '.' || (s % 256) AS src_ip,
    '10.' || (128 + r // 256 // 256 % 64) || '.' || (r // 256 % 256) || '.' || (r % 256) AS dst_ip,
    from_hex('00000000000000000000ffff0a' || printf('%06x', s)) AS src_addr,
    from_hex('00000000000000000000ffff0a' || printf('%06x', 8388608 + r)) AS dst_addr,
    0::BIGINT AS src_hi, {mapped} + s AS src_lo, 0::BIGINT AS dst_hi, {mapped} + 8388608 + r AS dst_lo,
    (32768 + h2 % 28000)::INTEGER AS src_port,
    [443, 53, 80, 22, 445, 8443, 6443, 2049, 3306, 123][1 + skew10] AS dst_port,
    CASE WHEN skew10 IN (1, 9) THEN 17 ELSE 6 END AS proto, CASE WHEN skew10 IN (1, 9) THEN 'udp' ELSE 'tcp' END AS proto_name,
    '02:00:00:' || printf('%02x:%02x:%02x', s // 65536 % 256, s // 256 % 256, s % 256) AS src_mac,
    '02:00:01:' || printf('%02x:%02x:%02x', r // 65536 % 256, r // 256 % 256, r % 256) AS dst_mac,
    CASE WHEN h1 % 4 <> 0 THEN (100 + h1 // 7 % 40)::INTEGER END AS vlan,
    CASE WHEN h1 % 4 = 0 THEN 'vxlan' END AS tunnel, CASE WHEN h1 % 4 = 0 THEN (5000 + h1 // 7 % 20)::INTEGER END AS vni,
    CASE WHEN h1 % 4 = 0 THEN '172.16.0.' || (h1 // 11 % 16) END AS outer_src_ip,
    CASE WHEN h1 % 4 = 0 THEN '172.16.1.' || (h1 // 13 % 16) END AS outer_dst_ip,
    CASE WHEN h3 % 10 < 7 THEN 'SF' WHEN h3 % 10 = 7 THEN 'S0' WHEN h3 % 10 = 8 THEN 'REJ' ELSE 'RSTO' END AS conn_state,
    CASE WHEN skew10 IN (1, 9) THEN 'Dd' WHEN h3 % 10 < 7 THEN 'ShADadFf' WHEN h3 % 10 = 7 THEN 'S' ELSE 'Sr' END AS history,
    1 + h3 % 20 AS src_pkts, h3 // 31 % 25 AS dst_pkts,
    (1 + h3 % 20) * (60 + h4 % 900) AS src_bytes, (h3 // 31 % 25) * (60 + h4 // 17 % 1400) AS dst_bytes,
    (1 + h3 % 20) * (h4 % 900) AS src_payload, (h3 // 31 % 25) * (h4 // 17 % 1400) AS dst_payload,
    27 AS src_flags, 27 AS dst_flags, (50 + h4 % 20000)::INTEGER AS rtt_us, (h4 // 100 % 50 = 0)::INTEGER AS retransmits,
    CASE WHEN h4 % 3 = 0 THEN 1 ELSE 3 END AS end_reason, 1 AS sampling,
    '1:' || to_base64(from_hex(md5(i::VARCHAR))) AS community_id,
    i * 2048 AS first_offset, i * 2048 + d AS last_offset
FROM (
    SELECT *, {start} + i * {gap} + h2 % 2000000 AS t,
           CASE WHEN i % 500 = 0 THEN 60000000 + h4 % 240000000 ELSE h4 % 20000000 END AS d,
           (power(h1 % 1000003 / 1000003.0, 3) * 60000)::BIGINT AS s, (power(h2 % 1000003 / 1000003.0, 3) * 4000)::BIGINT AS r,
           (power(h4 % 1009 / 1009.0, 2) * 10)::INTEGER % 10 AS skew10
    FROM (
        SELECT i, (hash(i) >> 2)::BIGINT AS h1, (hash(i + 1000000007) >> 2)::BIGINT AS h2,
               (hash(i + 2000000011) >> 2)::BIGINT AS h3, (hash(i + 3000000019) >> 2)::BIGINT AS h4
        FROM range({first}, {last}) r(i)
    )
)
"""

_SLICES = """
INSERT INTO c.flow_slices BY NAME
SELECT flow_id, ts + to_seconds(60 * n) AS ts, 1::BIGINT AS src_pkts, 1::BIGINT AS dst_pkts,
       src_bytes // minutes AS src_bytes, dst_bytes // minutes AS dst_bytes
FROM (SELECT *, 1 + (duration // 60)::BIGINT AS minutes FROM c.flows WHERE duration > 60),
     unnest(range(minutes)) AS u(n)
"""


def make_case(root: Path, flows: int, hours: float = 24.0, step: int = 2_000_000) -> CaseFolder:
    """A new case of that many flows over that many hours; memory stays flat (a transaction per `step`)."""
    case = CaseFolder.create(root)
    con = connect(case.temp_for_process(), memory="1GB")
    attach(con, case.database_next, "c", read_only=False)
    create_schema(con, "c")
    gap = max(1, int(hours * 3_600_000_000 / flows))
    for first in range(0, flows, step):
        con.execute(_ROWS.format(start=_START_US, mapped=_MAPPED, gap=gap, first=first, last=min(first + step, flows)))
    con.execute(_SLICES)
    con.execute(
        "INSERT INTO c.sources BY NAME SELECT 1 AS source_id, 'pcap' AS kind, '/synthetic.pcap' AS path, 'leaf-1' AS sensor,"
        " sum(src_pkts + dst_pkts)::BIGINT AS packets, count(*) AS flows, min(ts) AS ts_first, max(ts_end) AS ts_last,"
        " 'ok' AS state, 'both' AS key_scope FROM c.flows"
    )
    publish_database(con, "c", case)
    con.close()
    return case


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("root", type=Path)
    parser.add_argument("--flows", type=int, default=20_000_000)
    options = parser.parse_args()
    began = time.perf_counter()
    case = make_case(options.root, options.flows)
    size = case.database.stat().st_size
    sys.stdout.write(f"{options.flows} flows in {time.perf_counter() - began:.1f} s, {size / 1e6:.0f} MB\n")


if __name__ == "__main__":
    main()
