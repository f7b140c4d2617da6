"""A capture on a DPU, through ssh: dumpcap or tcpdump there, its packets on our end of ssh's pipe.

One line of shell runs there. It leaves our own ssh connection out of the capture (it would feed on itself), by the addresses and
ports that sshd there gives it, so what a NAT between makes of them doesn't matter. It tells every two seconds what the capture
costs there and what the interface has counted, and just before and after the capture what the ports have that are mirrored: the
capture is measured against that. It ends the capture when our end lets go of its input, or is gone: nothing is left running
there. Where the way is cut without a word it ends as soon as sshd notices, or a packet can't be written.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from workbench.errors import WorkbenchError
from workbench.sources.capture_process import CaptureProcess, Drops
from workbench.sources.capture_words import CaptureWords, Program
from workbench.sources.dumpcap import hear_dumpcap
from workbench.sources.interfaces import Counters
from workbench.sources.ssh import Far, failure
from workbench.sources.tcpdump import hear_tcpdump

#: What runs there. Before it stand i (interface), b (the bridge whose ports are counted, or nothing), u (the person's filter),
#: s (snap length), p (program), m (-p or nothing), k (1: the port is a mirror of ours, which a switch that
#: was begun again leaves down).
#: A line of input asks tcpdump for its losses, once it catches the signal that does so: until then it would end it, and through
#: sudo that can't be told. sudo passes on no signal of its own process group (sudo(8)), hence setsid, and none that it can't
#: catch. Ticks of the CPU are the fields utime and stime of /proc/PID/stat (proc(5)), counted behind the command's closing
#: bracket.
SCRIPT: Final = r"""
set -f; me=$$; up=$PPID; S=; [ "$(id -u)" = 0 ] || S='sudo -n'
set -- $SSH_CONNECTION; f=$u
if [ $# = 4 ]; then
  o="host ${1%%%*} and host ${3%%%*} and tcp port $2 and tcp port $4"
  o="not ($o)"; [ "$i" = any ] || o="$o and not (vlan and host ${1%%%*} and host ${3%%%*} and tcp port $2 and tcp port $4)"
  if [ -n "$f" ]; then f="($f) and $o"; else f=$o; fi
fi
[ "$p" = auto ] && { command -v dumpcap >/dev/null && p=dumpcap || p=tcpdump; }
[ -d "/sys/class/net/$i" ] || [ "$i" = any ] || { echo "workbench: there is no interface $i" >&2; exit 3; }
[ -z "$k" ] || {
  $S ip link set dev "$i" arp off; echo 1 | $S tee "/proc/sys/net/ipv6/conf/$i/disable_ipv6"; $S ip link set dev "$i" up
} >/dev/null 2>&1
exec 3<&0 4>&2
count() {
  if [ -n "$b" ]; then
    $S ovs-ofctl --timeout=5 --names dump-ports "$b" | sed -n -e '/rx pkts=/{N
s/^ *port *"*\([^":]*\)"*: rx pkts=\([0-9]*\),.*\n *tx pkts=\([0-9]*\),.*/workbench-port '"$1"' \2 \3 \1/p
}'
  else
    d=/sys/class/net/$i/statistics
    read -r r <"$d/rx_packets" && read -r t <"$d/tx_packets" && echo "workbench-port $1 $r $t $i"
  fi
}
end() { if [ -n "$S" ]; then $S setsid kill "-$2" $me; else kill "-$1" $me; fi; }
alive() { read -r x <"/proc/$1/stat" && { set -- ${x##*) }; [ "$1" != Z ]; }; }
count before 2>/dev/null >&4 </dev/null
(
  exec 3<&-
  ticks() { t=-1; z=Z; read -r x <"/proc/$1/stat" && { set -- ${x##*) }; z=$1; t=$((${12} + ${13})); }; }
  hz=$(getconf CLK_TCK || echo 100); d=/sys/class/net/$i/statistics
  while ticks $me; a=$t; [ $z != Z ]; do
    read -r now x </proc/uptime; ticks $up; e=$t; [ -z "$S" ] || a=-1
    w=-1; while read -r k v; do [ "$k" = wchar: ] && w=$v; done <"/proc/$me/io"
    c=; for n in rx_packets tx_packets rx_bytes tx_bytes rx_dropped rx_missed_errors; do
      v=-1; [ -e "$d/$n" ] && read -r v <"$d/$n"; c="$c $v"
    done
    y=-1; read -r v <"/sys/class/net/$i/carrier" && y=$v
    [ -z "$b" ] || ! read -r v </run/openvswitch/ovs-vswitchd.pid || [ -d "/proc/$v" ] || y=0
    echo "workbench-cost $hz $now $a $e $w$c $y" >&4 || { end INT INT; exit; }
    sleep 2 4>&-
  done
) >/dev/null 2>&1 &
tells=$!
(
  while read -r w <&3; do
    [ "$p$S" = tcpdump ] || continue
    c=0; while read -r k v; do [ "$k" = SigCgt: ] && c=$v; done <"/proc/$me/status"
    [ $((0x$c & 512)) = 0 ] || kill -USR1 $me
  done
  [ "$p" != dumpcap ] || sleep 0.3  # what lies in the kernel, as BEHIND of sources/dumpcap
  end INT INT
  for n in 1 2 3 4 5 6 7 8 9 10 11 12; do alive $me || break; sleep 0.25; done
  kill $tells; count after >&4
  alive $me && end KILL TERM
) >/dev/null 2>&1 &
if [ "$p" = dumpcap ]; then
  exec $S dumpcap -q -i "$i" -B 64 -w - $m $([ "$s" = 0 ] || echo "-s $s") -f "$f" 3<&- 4>&-
fi
exec $S tcpdump -n -U --immediate-mode -i "$i" -B 65536 -w - -s "$s" $m -- "$f" 3<&- 4>&-
"""
#: Ports that are listened to: what is there may be anybody's.
_MOST_PORTS: Final = 4096
_PORT: Final = re.compile(r"^workbench-port (before|after) (\d{1,15}) (\d{1,15}) (.{1,64})$")
_COST: Final = re.compile(r"^workbench-cost (\d{1,9}) ([\d.]{1,20})((?: -?\d{1,18}){10})$")


@dataclass(frozen=True, slots=True)
class FarCounts:
    """What one line of the far end tells. Ticks of its CPU by the capture and by sshd, bytes written; -1: not known there.

    at: seconds since that machine was booted. carrier: 0 where the interface has none, or the switch that fills it is gone; the
    capture goes on then, and sees nothing. The rest: the interface's own counters.
    """

    hz: int
    at: float
    capture_ticks: int
    ssh_ticks: int
    written: int
    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    rx_missed: int
    carrier: int = -1


@dataclass(frozen=True, slots=True)
class FarCost:
    """What a capture costs there, since it began. None: not known.

    capture_cpu, ssh_cpu: share of one of its cores; bandwidth: bits a second that ssh carries, before its own packing;
    packets: counted by the interface in that time, both directions: what the capture is measured against.
    """

    seconds: float
    capture_cpu: float | None
    ssh_cpu: float | None
    bandwidth: float | None
    packets: int | None
    dropped: int | None


@dataclass(frozen=True, slots=True)
class Watched:
    """The ports that a capture is measured against. bridge: of Open vSwitch, '' for the captured interface by its own counters.

    ports: those whose packets, both ways, should arrive; none: what enters by any port but those left out (none_of). ours:
    whether the captured port is a mirror that the workbench made.
    """

    bridge: str = ""
    ports: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    ours: bool = False

    def count(self, told: Mapping[str, tuple[int, int]]) -> int | None:
        """Packets that should arrive, from what the ports (rx, tx) have counted; None where one of them wasn't told."""
        if not self.bridge:
            return sum(sum(pair) for pair in told.values()) if told else None
        if not self.ports:
            return sum(rx for port, (rx, _) in told.items() if port not in self.none_of) if told else None
        return sum(sum(told[port]) for port in self.ports) if all(port in told for port in self.ports) else None


def parse_counts(line: str) -> FarCounts | None:
    """A line of SCRIPT's; None for any other."""
    found = _COST.match(line)
    if found is None:
        return None
    try:
        return FarCounts(int(found[1]) or 100, float(found[2]), *map(int, found[3].split()))
    except ValueError:  # dots that make no number
        return None


def cost_between(first: FarCounts, last: FarCounts) -> FarCost:
    """From two lines of one capture; counters that went back (a driver reloaded) count as not known."""
    seconds = last.at - first.at

    def share(before: int, after: int) -> float | None:
        return (after - before) / last.hz / seconds if 0 <= before <= after and seconds > 0 else None

    def more(*names: str) -> int | None:
        pairs = [(getattr(first, name), getattr(last, name)) for name in names]
        return sum(after - before for before, after in pairs) if all(0 <= a <= b for a, b in pairs) else None

    written = more("written")
    return FarCost(
        seconds,
        share(first.capture_ticks, last.capture_ticks),
        share(first.ssh_ticks, last.ssh_ticks),
        8 * written / seconds if written is not None and seconds > 0 else None,
        more("rx_packets", "tx_packets"),
        more("rx_missed"),  # not rx_dropped, as Counters says
    )


def cost_words(cost: FarCost) -> str:
    """For the ledger: shares of the DPU's core, bandwidth, over how long."""
    said = [f"over {cost.seconds:.0f} s"]
    if cost.capture_cpu is not None:
        said.append(f"capture {100 * cost.capture_cpu:.1f}% of a core")
    if cost.ssh_cpu is not None:
        said.append(f"sshd {100 * cost.ssh_cpu:.1f}%")
    if cost.bandwidth is not None:
        said.append(f"{cost.bandwidth / 1e6:.3f} Mbit/s")
    if cost.packets is not None:
        said.append(f"the interface counted {cost.packets} packets")
    return ", ".join(said)


#: A capture that is measured against its own interface's counters.
ITSELF: Final = Watched()


def coverage_words(arrived: int, counted: int, watched: Watched) -> str:
    """For the ledger: the share that arrived, and what makes it look smaller or larger than it is."""
    said = f"{arrived} packets are here, {100 * arrived / counted:.1f}% of {counted} that the ports counted meanwhile"
    if watched.bridge:
        ports = ", ".join(watched.ports) or f"all ports of {watched.bridge}"
        said += f" ({ports}, as the switch has them)"
        if len(watched.ports) > 1:
            said += "; what went from one of them to another counts twice there"
        return said
    return f"{said}; our own connection counts there, if it goes through that port"


class RemoteCapture(CaptureProcess):
    """A running capture there. `cost` is what it told last; None before the second line."""

    def __init__(self, far: Far, words: CaptureWords, program: Program = "auto", watched: Watched = ITSELF) -> None:
        """Start it; ExternalError where ssh can't be started. That the way fails is seen when the capture ends."""
        self.far = far
        self.watched = watched
        self.first: FarCounts | None = None
        self.before_last: FarCounts | None = None
        self.last: FarCounts | None = None
        self._ports: dict[str, dict[str, tuple[int, int]]] = {"before": {}, "after": {}}
        line = shell_line(words, program, watched)
        super().__init__(f"capture on {far}", far.command(line), self._hear_far, hold_input=True)

    @property
    def cost(self) -> FarCost | None:
        """What it costs there, and what the interface counted meanwhile."""
        first, last = self.first, self.last
        return None if first is None or last is None or last is first else cost_between(first, last)

    @property
    def recent_cost(self) -> FarCost | None:
        """The same since the line before the last: two seconds, as it is now."""
        then, last = self.before_last, self.last
        return None if then is None or last is None else cost_between(then, last)

    @property
    def port_counts(self) -> tuple[int | None, int | None]:
        """Packets that should arrive here, as the ports had counted them before the capture and after; None: not told."""
        return self.watched.count(self._ports["before"]), self.watched.count(self._ports["after"])

    def counters(self) -> Counters | None:
        """What the interface there has counted since it came up; None where nothing was told yet."""
        told = self.last
        if told is None or min(told.rx_packets, told.tx_packets, told.rx_bytes, told.tx_bytes) < 0:
            return None
        return Counters(told.rx_packets + told.tx_packets, told.rx_bytes + told.tx_bytes, max(0, told.rx_missed))

    def ask_drops(self) -> None:
        """tcpdump there says its losses; dumpcap doesn't until it ends."""
        self.write_input(b"d\n")

    def ask_to_stop(self) -> None:
        """The far end sees its input end, and has the capture write what it has."""
        self.close_input()

    def why_ended(self) -> WorkbenchError:
        """The error for an end that nobody asked for."""
        said = [line for line in self.said if not line.startswith(("workbench-cost ", "workbench-port "))]
        return failure(self.far, "the capture", self.exit_code or 0, "\n".join(said).encode())

    def _hear_far(self, line: str, known: Drops) -> Drops:
        if found := _PORT.match(line):
            if len(self._ports[found[1]]) >= _MOST_PORTS:
                return known
            self._ports[found[1]][found[4]] = int(found[2]), int(found[3])
            return known
        counts = parse_counts(line)
        if counts is None:
            return hear_tcpdump(line, hear_dumpcap(line, known))
        self.first, self.before_last, self.last = self.first or counts, self.last, counts
        return known


def shell_line(words: CaptureWords, program: Program = "auto", watched: Watched = ITSELF) -> str:
    """SCRIPT with what is asked for in front, each value quoted."""
    given = {
        "i": words.interface,
        "b": watched.bridge,
        "k": "1" if watched.ours else "",
        "u": words.bpf or "",
        "s": str(words.snaplen),
        "p": program,
        "m": "" if words.promiscuous else "-p",
    }
    return "; ".join(f"{name}={shlex.quote(value)}" for name, value in given.items()) + SCRIPT
