"""Send ARP packets as written, true or not: ``python -m sample_captures.make.arp_send DEVICE PAUSE TIMES PACKET...`` (root).

A PACKET is ``frame,operation,sender-mac,sender-ip,target-mac,target-ip``, where ``frame`` is the Ethernet header's source. All of
them go out in turn, ``TIMES`` times, ``PAUSE`` seconds apart; what was sent is told as JSON.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

ARP = 0x0806


def raw(mac: str) -> bytes:
    """Six bytes of a MAC."""
    return bytes.fromhex(mac.replace(":", ""))


def frame(source: str, operation: int, sender: str, sender_ip: str, target: str, target_ip: str) -> bytes:
    """One frame (RFC 826); a target of zeros is asked by broadcast."""
    to = b"\xff" * 6 if raw(target) == bytes(6) else raw(target)
    ends = raw(sender) + socket.inet_aton(sender_ip) + raw(target) + socket.inet_aton(target_ip)
    return to + raw(source) + struct.pack(">HHHBBH", ARP, 1, 0x0800, 6, 4, operation) + ends + bytes(18)


def main() -> int:
    """The command line."""
    device, pause, times, *written = sys.argv[1:]
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind((device, ARP))
        for _ in range(int(times)):
            for packet in written:
                source, operation, *ends = packet.split(",")
                sock.send(frame(source, int(operation), *ends))
                sent += 1
            time.sleep(float(pause))
    print(json.dumps({"sent": sent}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
