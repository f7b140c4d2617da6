"""Getting the resident onto a DPU: what is written there, and how it is started.

Everything lies in one folder of root's. Nothing else is changed, but for a systemd unit where there is systemd, and a line in
authorized_keys where a login key is given.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from workbench.errors import ExternalError, FarError, UsageError
from workbench.push.channel import send
from workbench.push.compiled import Sampling
from workbench.push.resident import workbench_dpu as dpu
from workbench.push.targets import Target
from workbench.sources import ssh

_PROGRAMS: Final = {"ovs": ("ssh-keygen", "ovs-ofctl", "ovs-vsctl", "ovs-appctl"), "nft": ("ssh-keygen", "nft")}
_CHECK: Final = """umask 077
for each in python3 {programs}; do command -v $each >/dev/null || {{ echo "$each isn't there" >&2; exit 3; }}; done
python3 -I -c 'import sys; sys.exit(sys.version_info < (3, 8))' || {{ echo "its python3 is older than 3.8" >&2; exit 3; }}
mkdir -p {home}/bundles && chmod 700 {home} && test -O {home} && test ! -L {home}
if [ -d /run/systemd/system ]; then echo systemd; else echo plain; fi
command -v python3"""
_UNIT: Final = """[Unit]
Description=workbench-dpu: rules of {name}, their deadlines and expiry
After=network.target openvswitch-switch.service nftables.service
StartLimitIntervalSec=0

[Service]
ExecStart={python} -I {home}/workbench_dpu.py watch {home}
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
_SYSTEMD: Final = "systemctl daemon-reload && systemctl enable -q {unit} && systemctl restart {unit}"
_PLAIN: Final = """umask 077
if pid=$(cat {home}/watch.pid 2>/dev/null) && tr '\\0' ' ' 2>/dev/null </proc/$pid/cmdline | grep -qF "watch {home} "; then
  kill -TERM -- -$pid 2>/dev/null || kill -TERM $pid
fi
setsid python3 -I {home}/workbench_dpu.py watch {home} </dev/null >/dev/null 2>{home}/watch.log &
"""
#: sshd goes by the first line that has a key: another one would let it do more than this.
_LOGIN: Final = """umask 077; mkdir -p ~/.ssh; cd ~/.ssh && touch authorized_keys; read -r line; read -r key
for file in authorized_keys authorized_keys2; do
  if [ -e $file ] && grep -v '^[[:space:]]*#' $file | grep -vxF -- "$line" | grep -qF -- "$key"; then
    echo "another line of $file lets this key in already: remove that first" >&2; exit 3
  fi
done
if grep -qxF -- "$line" authorized_keys; then exit 0; fi
if [ -n "$(tail -c 1 authorized_keys)" ]; then echo >> authorized_keys; fi
printf '%s\\n' "$line" >> authorized_keys"""
_KEY: Final = re.compile(r"((?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+)(?: .*)?")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A DPU with its resident. daemon: `systemd`, or `plain`, which no reboot starts. command: what ssh forces.

    tells: collectors that are told of packets of rules with `log`.
    """

    target: str
    address: str
    bridge: str
    daemon: str
    resident: str
    signers: tuple[str, ...]
    command: str
    tells: tuple[str, ...] = ()


def enrol(
    target: Target, signers: str, *, login_key: str = "", longest_window: int = 900, longest_break_glass: int = 3600
) -> Enrolled:
    """Write or renew the resident; what it knows of earlier pushes stays.

    signers: the text of its allowed signers. UsageError where they could be two people, FarError, ExternalError.
    """
    try:
        names = dpu.read_signers(signers)
    except dpu.Refused as error:
        raise UsageError(error.message, 'A line is: NAME namespaces="dpu-policy,..." KEYTYPE KEY.') from error
    if not names:
        raise UsageError("there are no allowed signers", "Nobody could push: name a file with --signers.")
    home = target.home
    found = _shell(target, _CHECK.format(programs=" ".join(_PROGRAMS[target.kind]), home=home)).split()
    daemon = "systemd" if found[0] == "systemd" and target.far.kind != "netns" else "plain"
    bridge, beside = _bridge(target) if target.kind == "ovs" else ("", "")
    source = Path(dpu.__file__).read_bytes()
    mark = _same(target, bridge)
    command = forced(target)
    tells = _telling(target, bridge) if target.kind == "ovs" else ()
    if login_key:
        _allow_login(target, login_key, command)
    config = {
        "version": 1, "target": target.name, "id": mark, "dataplane": target.kind, "bridge": bridge, "rundir": "",
        "interval": 1.0, "longest_window": longest_window, "longest_break_glass": longest_break_glass,
        "enrolled": int(time.time()), "beside": beside,
    }  # fmt: skip
    for name, data in (
        ("allowed_signers", signers.encode()),
        ("config.json", dpu.canonical(config)),
        ("workbench_dpu.py", source),
    ):
        _write(target, f"{home}/{name}", data)
    if daemon == "systemd":
        unit = f"workbench-dpu-{target.name}.service"
        text = _UNIT.format(name=target.name, python=found[1], home=home)
        _write(target, f"/etc/systemd/system/{unit}", text.encode(), mode="644")
        _shell(target, _SYSTEMD.format(unit=unit))
    else:
        _shell(target, _PLAIN.format(home=home))
    return Enrolled(
        target.name,
        str(target.far),
        bridge,
        daemon,
        hashlib.sha256(source).hexdigest(),
        tuple(sorted(names.values())),
        command,
        tells,
    )


def _telling(target: Target, bridge: str) -> tuple[str, ...]:
    """Whom the switch tells of packets that rules sample: the collectors of the settings, or nobody any more.

    What was there of ours is made anew, which has the switch say its templates again: it does by itself every ten minutes.
    ExternalError where the number of our set is somebody else's.
    """
    mark = f"external_ids:workbench-dpu={target.name}"
    ask = ["ovs-vsctl", "--timeout=15"]
    table = "Flow_Sample_Collector_Set"
    for uuid in ssh.run(target.far, [*ask, "--bare", "--columns=_uuid", "find", table, mark], root=True).split():
        if not re.fullmatch(r"[0-9a-f-]{36}", uuid):
            raise ExternalError(f"{target.far} names a row that there can't be", "See whether its ovs-vsctl is the real one.")
        ssh.run(target.far, [*ask, "--if-exists", "destroy", table, uuid], root=True)
    if not target.sampling:
        return ()
    told = tuple(f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in target.telemetry)
    number = Sampling().collector_set
    collectors = ",".join(f'"{one}"' for one in told)
    words = ["--", "--id=@b", "get", "Bridge", bridge, "--", "--id=@i", "create", "IPFIX", f"targets={collectors}"]
    words += ["cache_active_timeout=1", "cache_max_flows=8192"]  # a record a second of those that knock a thousand times
    words += ["--", "create", table, f"id={number}", "bridge=@b", "ipfix=@i", mark]
    try:
        ssh.run(target.far, [*ask, *words], root=True)
    except FarError as error:
        if error.code is None:
            raise
        raise ExternalError(
            f"{target.name}: {bridge} can't tell its collectors: {error.message}",
            f"See `ovs-vsctl find {table} id={number}` there: that number is for ours.",
        ) from error
    return told


def _same(target: Target, bridge: str) -> str:
    """The id of the resident there, a random one for a new one: bundles for another DPU of this name are none for it.

    UsageError where it was enrolled with another dataplane or bridge and has rules there.
    """
    old, state = (_object(target, name) for name in ("config.json", "state.json"))
    if old is None:
        return secrets.token_hex(16)
    there = (old.get("dataplane"), old.get("bridge"))
    held = state is not None and (not state or any(state.get(name) for name in ("confirmed", "pending", "going")))
    if there != (target.kind, bridge) and held:
        raise UsageError(
            f"{target.name} was enrolled for {' '.join(str(one) for one in there if one)}, and rules of ours run there",
            f"They would mean something else on {bridge or target.kind}: give this one another name in the settings.",
        )
    mark = str(old.get("id", ""))
    return mark if there == (target.kind, bridge) and re.fullmatch(r"[0-9a-f]{32}", mark) else secrets.token_hex(16)


def _object(target: Target, name: str) -> dict[str, Any] | None:
    """A file of the resident's; None where there is none, empty where it can't be read as what it should be."""
    path = f"{target.home}/{name}"
    found = _shell(target, f"if [ -e {path} ]; then cat {path}; else echo none; fi").strip()
    if found == "none":
        return None
    try:
        return dpu.parse_object(found.encode(), "malformed", name)
    except dpu.Refused:
        return {}


def forced(target: Target) -> str:
    """What ssh runs for a key that may do nothing else."""
    sudo = "" if target.far.kind != "ssh" or target.far.user in ("", "root") else "sudo -n "
    return f"{sudo}python3 -I {target.home}/workbench_dpu.py serve {target.home}"


def _allow_login(target: Target, key: str, command: str) -> None:
    found = _KEY.fullmatch(key.strip())
    if found is None or target.far.kind != "ssh":
        raise UsageError("that is no public key for a login by ssh", "Give the .pub file of a key, for a target at ssh://.")
    line = f'restrict,command="{command}" {found[1]}\n{found[1].split()[1]}\n'
    send(target, f"exec sh -c {_quoted(_LOGIN)}", line.encode(), what="authorized_keys")


def _bridge(target: Target) -> tuple[str, str]:
    """The bridge that gets the rules, and who else has the say there, where the settings name it all the same.

    ExternalError where it can't be told, or somebody else's controller, or OVN, owns it.
    """
    there = ssh.run(target.far, ["ovs-vsctl", "--timeout=15", "list-br"], root=True).split()
    if target.bridge and target.bridge not in there:
        raise ExternalError(f"{target.far} has no bridge {target.bridge}", f"There are: {', '.join(there) or 'none'}.")
    if not target.bridge and len(there) != 1:
        raise ExternalError(f"{target.far} has {len(there)} bridges", f"Name one in [targets.{target.name}]: {', '.join(there)}.")
    bridge = target.bridge or there[0]
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}", bridge):
        raise ExternalError(f"the bridge {bridge!r} has no name that is taken", "Rename it there.")
    found = dpu.owner(bridge, lambda words: ssh.run(target.far, words, root=True))
    if (found or bridge == "br-int") and not target.bridge:
        raise ExternalError(
            f"{bridge} on {target.far} is run by another ({found or 'ovn'})",
            f"Name it in [targets.{target.name}] if ours may live beside it.",
        )
    return bridge, found


def _write(target: Target, path: str, data: bytes, mode: str = "600") -> None:
    """A file of root's, there whole or not at all. path: of safe characters."""
    script = f"umask 077; cat > {path}.new && chmod {mode} {path}.new && sync {path}.new && mv -f {path}.new {path}"
    send(target, ssh.as_root(["sh", "-c", script]), data, what=path)


def _shell(target: Target, script: str) -> str:
    return send(target, ssh.as_root(["sh", "-c", script]), b"", what="sh").decode("utf-8", "replace")


def _quoted(text: str) -> str:
    return shlex.quote(text)
