"""``make lab``: three DPUs with hosts behind them, and a shell in it (root). docs/lab.md has more to try.

``on HOST COMMAND...`` runs a program in a host or on a DPU, and ``ssh DPU`` logs in; both work in the shell alone.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.lab import switch
from tests.lab.dataplane import DpuLab

ROOT = Path(__file__).parents[2]
ON = """#!/bin/sh
# on HOST COMMAND...: a program in one of the lab's namespaces; on a DPU it sees the DPU's own /run
[ $# -ge 2 ] || {{ echo "usage: on HOST COMMAND..." >&2; exit 2; }}
host=$1; shift
case $host in
  {dpus}) exec ip netns exec {tag}-$host unshare -m sh -c 'mount --bind "$0" /run; exec "$@"' {folder}/$host/run "$@" ;;
  *) exec ip netns exec {tag}-$host "$@" ;;
esac
"""
SSH = """#!/bin/sh
exec {ssh} -F {folder}/ssh_config "$@"
"""
MESSAGE = """
  {dpus}: Open vSwitch, userspace datapath
    br-phy   p0 and the tunnel end {underlay}; mirror0 has all of it, as on the wire
    ovsbr1   pf0hpf, pf0vf0..., the tunnels; mirror1 has all of it, as the hosts send it
             tells 127.0.0.1 by IPFIX ({ipfix}), NetFlow v5 ({netflow}) and sFlow ({sflow})
    ovsbr2   p1, pf1hpf
    oob_net0 {oob}, sshd
{hosts}

  on app1 curl -s http://10.20.1.10/lab          over VXLAN
  on train-0 curl -s http://10.20.2.10/lab       over Geneve
  on app1 curl -s http://10.20.2.10/lab          through the gate
  ssh dpu1 ovs-vsctl show                        the DPU's own side
  on dpu1 ovs-ofctl dump-flows ovsbr1
  on gate nft add table inet mine                rules between the networks
  on dpu1 timeout 9 tcpdump -i mirror0 -U -w - | workbench index - --case /tmp/seen

This shell is in admin ({admin}). Leave it and all of this goes away.
"""


def message(lab: DpuLab) -> str:
    """What is there and what to try."""
    lines = []
    for network in lab.plan.networks:
        kind = f"{network.tunnel} {network.vni}" if network.tunnel else "plain"
        lines.append(f"  {network.name}: {network.prefix}.0/24, {kind}")
        here = [host for host in lab.plan.hosts if host.network == network]
        lines += [f"    {host.name:<9}{host.address:<13}{host.dpu} {host.port}" for host in here]
    first, last = lab.plan.dpus[0], len(lab.plan.dpus)
    return MESSAGE.format(
        dpus=", ".join(lab.plan.dpus),
        underlay=f"{lab.plan.underlay(first)}..{last}",
        oob=f"{lab.plan.management(first)}..{last}",
        ipfix=switch.IPFIX,
        netflow=switch.NETFLOW,
        sflow=switch.SFLOW,
        hosts="\n".join(lines),
        admin=lab.space("admin"),
    )


def tools(lab: DpuLab) -> Path:
    """A folder with ``on``, ``ssh`` and ``workbench`` for this lab."""
    folder = lab.folder / "bin"
    folder.mkdir()
    ssh = subprocess.run(["sh", "-c", "command -v ssh"], capture_output=True, text=True, check=True).stdout.strip()
    made = {
        "on": ON.format(dpus="|".join(lab.plan.dpus), tag=lab.tag, folder=lab.folder),
        "ssh": SSH.format(ssh=ssh, folder=lab.folder),
        "workbench": f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m workbench "$@"\n',
    }
    for name, script in made.items():
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return folder


def shell_words(lab: DpuLab) -> list[str]:
    """The person's shell; a bash at a terminal says ``(lab)`` and has our tools first whatever the person's own file sets."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    if Path(shell).name != "bash":
        return [shell]
    own = lab.folder / "bashrc"
    own.write_text(f'[ -f ~/.bashrc ] && . ~/.bashrc\nPATH={lab.folder}/bin:$PATH\nPS1="(lab) $PS1"\n')
    return [shell, "--rcfile", str(own)]


def main() -> int:
    """Build the lab, leave a shell in ``admin``, take everything down when it ends; the shell's exit code."""
    if os.geteuid() != 0:
        print("make lab needs root: it makes network namespaces.", file=sys.stderr)
        return 4
    began = time.monotonic()
    try:
        with DpuLab() as lab:
            print(f"The lab {lab.tag} is up in {time.monotonic() - began:.1f} s.\n{message(lab)}", flush=True)
            line, environment = lab.command("admin", shell_words(lab))
            environment |= {
                "LAB": lab.tag,
                "PATH": f"{tools(lab)}:{environment['PATH']}",
                "HOME": os.environ.get("HOME", "/root"),
            }
            return subprocess.run(line, env=environment, check=False).returncode
    except KeyboardInterrupt:
        return 130
    except FileNotFoundError as error:
        print(f"The lab can't be put up: {error}. .ci/system names the Debian packages it uses.", file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(main())
