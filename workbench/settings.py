"""Settings of a person: one strict TOML file into frozen dataclasses.

The file is ``~/.config/workbench/settings.toml``, or what the environment variable WORKBENCH_CONFIG
names. Every key is optional and typed; an unknown or ill-typed one stops the program with the key and
the nearest one that exists, because a setting that is silently ignored is worse than none.
docs/settings.md is generated from the dataclasses below. Cheap to import: the parser is only loaded
where there is a file.
"""

from __future__ import annotations

import os
import types
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from workbench.errors import MissingPathError, SettingsError

#: Ports that Zeek's standard scripts add to `likely_server_ports`; they decide who is the originator of
#: a connection whose beginning was not seen.
LIKELY_SERVER_PORTS: Final = (
    "21/tcp",
    "22/tcp",
    "25/tcp",
    "53/tcp",
    "53/udp",
    "67/udp",
    "79/tcp",
    "80/tcp",
    "81/tcp",
    "88/tcp",
    "88/udp",
    "110/tcp",
    "123/udp",
    "135/tcp",
    "137/udp",
    "139/tcp",
    "143/tcp",
    "161/udp",
    "162/udp",
    "389/tcp",
    "389/udp",
    "443/tcp",
    "443/udp",
    "445/tcp",
    "502/tcp",
    "514/udp",
    "563/tcp",
    "585/tcp",
    "587/tcp",
    "614/tcp",
    "631/tcp",
    "636/tcp",
    "989/tcp",
    "990/tcp",
    "992/tcp",
    "993/tcp",
    "995/tcp",
    "1080/tcp",
    "1434/tcp",
    "1812/udp",
    "1883/tcp",
    "2123/udp",
    "2152/udp",
    "2811/tcp",
    "3128/tcp",
    "3268/tcp",
    "3306/tcp",
    "3389/tcp",
    "3544/udp",
    "4789/udp",
    "5060/udp",
    "5072/udp",
    "5222/tcp",
    "5223/tcp",
    "5269/tcp",
    "5353/udp",
    "5355/udp",
    "5432/tcp",
    "6081/udp",
    "6379/tcp",
    "6666/tcp",
    "6667/tcp",
    "6668/tcp",
    "6669/tcp",
    "8000/tcp",
    "8080/tcp",
    "8888/tcp",
    "20000/tcp",
    "20000/udp",
)

_PROTOCOLS: Final = {"tcp": 6, "udp": 17, "sctp": 132}


def _setting(default: Any, meaning: str, unit: str = "", least: float | None = None) -> Any:
    """A dataclass field with what docs/settings.md says of it and the least value it may have."""
    return field(default=default, metadata={"meaning": meaning, "unit": unit, "least": least})


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """How packets become flows; part of what a worker is given, so it pickles."""

    tcp_idle: float = _setting(300.0, "a TCP flow without packets for this long has ended", "s", 0.001)
    tcp_close: float = _setting(5.0, "how long a closed, reset or failed TCP connection waits for stragglers", "s", 0.0)
    udp_idle: float = _setting(60.0, "the same for UDP and every protocol without a rule of its own", "s", 0.001)
    icmp_idle: float = _setting(60.0, "the same for ICMP", "s", 0.001)
    key_scope: Literal["both", "vni", "vlan", "none"] = _setting(
        "both", "what besides the 5-tuple makes a flow a flow of its own; `--key-scope` overrides it"
    )
    checksums: Literal["auto", "verify", "ignore"] = _setting(
        "auto",
        "`verify` leaves packets with a wrong transport checksum out of TCP's analysis, as Zeek does; `ignore` trusts"
        " all, as Zeek's `-C` does; `auto` verifies, but trusts checksums left to the network card",
    )
    application: bool = _setting(True, "look for application protocols and keep their metadata; false: flows only, and faster")
    max_open_flows: int = _setting(1_000_000, "flows open at once; beyond it the longest idle is closed early", "flows", 1024)
    likely_server_ports: tuple[str, ...] = _setting(
        LIKELY_SERVER_PORTS, "ports of servers, `443/tcp`; they tell the originator where a connection's start was not seen"
    )

    def server_ports(self) -> tuple[tuple[int, int], ...]:
        """`likely_server_ports` as (IANA protocol number, port).

        Raises SettingsError for an entry that is no `PORT/tcp`, `PORT/udp` or `PORT/sctp`.
        """
        found = []
        for entry in self.likely_server_ports:
            port, slash, name = entry.partition("/")
            if not slash or name not in _PROTOCOLS or not (port.isascii() and port.isdigit()) or int(port) > 65535:
                raise SettingsError(f"flows.likely_server_ports: {entry!r} is no port", "Write such as 443/tcp or 53/udp.")
            found.append((_PROTOCOLS[name], int(port)))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """How exported flow records become flows."""

    active_timeout: float = _setting(
        60.0,
        "how often exporters tell of a flow that goes on; its directions and pieces are looked for within this and 5 s. A"
        " longer one that an exporter tells of itself holds instead",
        "s",
        1.0,
    )
    exporters: tuple[str, ...] = _setting(
        (), "addresses and networks, `192.0.2.0/24`, that `attach` takes telemetry from; empty: any; `--exporter` overrides it"
    )


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The cases that `open` makes by itself when it is given no `--case` (in the person's cache folder)."""

    max_size_mb: int = _setting(20_000, "what they may take together; beyond it the one unused for longest is removed", "MB", 0)


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Signing of the audit log's heads."""

    principal: str = _setting("", "who signs, as the allowed-signers file names them; empty: user@host")
    signing_key: str = _setting(
        "", "SSH key, or the public half of one that an agent holds, that signs the log after each indexing; empty: not signed"
    )
    allowed_signers: str = _setting("", "file of the signers that `audit verify` trusts (see ssh-keygen(1)); empty: none")
    anchor_file: str = _setting("", "file that heads are also written down in, best on another machine's disk; empty: none")
    anchor_git: str = _setting("", "clone of a git repository that heads are also committed to and pushed from; empty: none")


@dataclass(frozen=True, slots=True)
class AttachSettings:
    """Live sources: what captures, and how long what is seen is kept."""

    program: Literal["auto", "dumpcap", "tcpdump"] = _setting(
        "auto",
        "what captures on an interface; `auto` is dumpcap, or tcpdump where that is missing; only tcpdump tells drops as it goes",
    )
    promiscuous: bool = _setting(True, "also take packets that are not for this machine")
    retain_hours: float = _setting(0.0, "flows older than this are dropped while attached; 0: none are", "h", 0.0)
    retain_mb: int = _setting(0, "the same beyond this size of what was indexed since attaching; 0: no bound", "MB", 0)
    evidence_mb: int = _setting(10_000, "packets kept with their payload zeroed; 0: none are kept", "MB", 0)
    evidence_hours: float = _setting(24.0, "how long they are kept; 0: as long as there is room", "h", 0.0)
    evidence_file_mb: int = _setting(64, "size of one file of them; whole files are dropped", "MB", 1)
    drift_every: float = _setting(
        30.0, "how often the targets are asked, while attached, whether somebody changed their rules; 0: never", "s", 0.0
    )


@dataclass(frozen=True, slots=True)
class AppSettings:
    """What the app looks like, and where it begins."""

    theme: Literal["auto", "dark", "light", "contrast", "16"] = _setting(
        "auto", "colours: `16` uses only the 16 of every terminal; `auto` is `dark`, or `16` in a terminal that has no more"
    )
    first_view: Literal["overview", "flows", "workloads", "matrix", "findings", "packets", "sql", "policy", "case"] = _setting(
        "flows", "the view that a case opens at, where it was not left elsewhere"
    )


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Who held which address."""

    networks: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "meaning": "the network that claims without one are of, by origin, such as `kubernetes` to `vni:5001`; those of other"
            " origins hold in any",
            "unit": "",
            "least": None,
        },
    )


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """One DPU that policies are pushed to; what the words mean is push/targets.py's to check."""

    kind: Literal["ovs", "nft"] = _setting("ovs", "what enforces there: rules of Open vSwitch, or a table of nftables")
    address: str = _setting("", "where it is: `ssh://user@host[:port]`, `netns:NAME` or `local`; needed")
    bridge: str = _setting(
        "", "the bridge that gets the rules (ovs); one that a controller or OVN owns is only taken if named here"
    )
    serves: tuple[str, ...] = _setting(
        (), "whom it enforces for: ports, `pf0vf0`, and prefixes, `10.20.1.0/24`; empty: every end that crosses it"
    )
    folder: str = _setting("/var/lib/workbench-dpu", "where its resident lives there, in a folder of the target's name")
    telemetry: tuple[str, ...] = _setting(
        (), "collectors that it exports to, `192.0.2.9:4739`: a policy that would cut it off from them is refused"
    )
    sampling: int = _setting(
        0,
        "tells `telemetry` by IPFIX of 1 in so many packets of rules with `log`, with the rule's number (ovs); 0: of none."
        " Packets that are told leave the hardware's path",
        "packets",
        0,
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; each attribute is a table of the file."""

    flows: FlowSettings = field(default_factory=FlowSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    app: AppSettings = field(default_factory=AppSettings)
    attach: AttachSettings = field(default_factory=AttachSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    targets: dict[str, TargetSettings] = field(default_factory=dict, metadata={"meaning": "", "unit": "", "least": None})
    keys: dict[str, str] = field(
        default_factory=dict,
        metadata={
            "meaning": 'key bindings of the app: binding id to key, such as `"case.ledger" = "f2"`; docs/app.md has the ids',
            "unit": "",
            "least": None,
        },
    )


def settings_path() -> Path:
    """The settings file: WORKBENCH_CONFIG, else ~/.config/workbench/settings.toml. It need not exist."""
    named = os.environ.get("WORKBENCH_CONFIG")
    return Path(named).expanduser() if named else Path("~/.config/workbench/settings.toml").expanduser()


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings file; the defaults where there is none.

    Raises SettingsError for a file that is no TOML, an unknown key or a value of the wrong kind;
    MissingPathError where WORKBENCH_CONFIG (or `path`) names a file that cannot be read.
    """
    file = path or settings_path()
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        if path is None and not os.environ.get("WORKBENCH_CONFIG"):
            return Settings()
        raise MissingPathError(f"settings file {file} does not exist", "Create it, or unset WORKBENCH_CONFIG.") from error
    except OSError as error:
        raise MissingPathError(
            f"settings file {file} cannot be read: {error.strerror}", "Check its permissions, or unset WORKBENCH_CONFIG."
        ) from error
    import tomllib  # 4 ms that most runs, having no settings file, need not pay

    try:
        values = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is no TOML: {error}", "See https://toml.io for the format.") from error
    settings = _read_table(Settings, values, str(file), "")
    try:
        settings.flows.server_ports()
    except SettingsError as error:
        raise SettingsError(f"{file}: {error.message}", error.remedy) from error
    return settings


_T = TypeVar("_T")


def _read_table(kind: type[_T], values: dict[str, Any], file: str, where: str) -> _T:
    """A dataclass from a TOML table, every key and type checked."""
    hints = get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    taken = {}
    for key, value in values.items():
        name = where + key
        if key not in known:
            raise _unknown(name, key, tuple(known), file, where)
        taken[key] = _read_value(hints[key], value, file, name)
        least = known[key].metadata.get("least")
        if least is not None and taken[key] < least:
            raise SettingsError(f"{file}: {name} = {value!r} is too small", f"Use {least:g} or more.")
    return kind(**taken)


def _unknown(name: str, key: str, known: tuple[str, ...], file: str, where: str) -> SettingsError:
    import difflib  # only where something is wrong

    near = difflib.get_close_matches(key, known, 1, 0.5)
    elsewhere = [dotted for dotted, _ in _every_key() if dotted.rpartition(".")[2] == key]
    if near:
        remedy = f"The nearest key is {where}{near[0]}."
    elif elsewhere:
        remedy = f"The nearest key is {elsewhere[0]}."
    else:
        remedy = f"Known here: {', '.join(known)}."
    return SettingsError(f"{file}: unknown key {name}", remedy)


def _read_value(hint: Any, value: Any, file: str, name: str) -> Any:
    """The value as its type wants it; SettingsError where it is of another kind."""
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _read_table(hint, value, file, name + ".")
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    if get_origin(hint) is tuple and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if _is_tables(hint) and isinstance(value, dict):
        return {key: _read_value(get_args(hint)[1], inner, file, f"{name}.{key}") for key, inner in value.items()}
    if get_origin(hint) is dict and isinstance(value, dict) and all(isinstance(v, str) for v in value.values()):
        return dict(value)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12:
        return float(value)
    if hint is str and isinstance(value, str):
        return value
    raise SettingsError(f"{file}: {name} = {value!r} is not {_kind_name(hint)}", f"Give {name} {_kind_name(hint)}.")


def _is_tables(hint: Any) -> bool:
    """Whether it is a table of tables, each of one kind: `[targets.NAME]`."""
    return get_origin(hint) is dict and is_dataclass(get_args(hint)[1])


def _kind_name(hint: Any) -> str:
    """What a type is called in messages and in docs/settings.md."""
    if _is_tables(hint):
        return "a table of tables"
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(f'"{v}"' for v in get_args(hint))
    if get_origin(hint) is tuple:
        return "a list of strings"
    if get_origin(hint) in (dict, types.UnionType, Union):
        return "a table of strings"
    if is_dataclass(hint):
        return "a table"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}[hint]


def _every_key(kind: type[Any] = Settings, where: str = "") -> list[tuple[str, Any]]:
    """Every key of the file with its field, in order; tables come apart."""
    found: list[tuple[str, Any]] = []
    hints = get_type_hints(kind)
    for f in fields(kind):
        if is_dataclass(hints[f.name]):
            found.extend(_every_key(hints[f.name], f"{where}{f.name}."))
        elif _is_tables(hints[f.name]):
            found.extend(_every_key(get_args(hints[f.name])[1], f"{where}{f.name}.NAME."))
        else:
            found.append((where + f.name, f))
    return found


_PAGE_HEAD = """# Settings

One TOML file, `~/.config/workbench/settings.toml`, or what the environment variable `WORKBENCH_CONFIG` names. Every key
is optional. An unknown key or a value of the wrong kind stops the program (exit code 2) with the key and the nearest one.

```toml
[flows]
udp_idle = 120
checksums = "ignore"

[app]
theme = "light"

[keys]
"app.quit" = "ctrl+q"
```

This page is generated: `python -m workbench.settings > docs/settings.md`.

| key | kind | default | meaning |
|---|---|---|---|
"""


def settings_page() -> str:
    """docs/settings.md as Markdown."""
    lines = []
    for name, f in _every_key():
        table, _, key = name.rpartition(".")
        kind = get_type_hints(Settings)[table.removesuffix(".NAME")] if table else Settings
        hint = get_type_hints(get_args(kind)[1] if _is_tables(kind) else kind)[key]
        default = f.default if f.default is not MISSING else f.default_factory()
        shown = ", ".join(default) if isinstance(default, tuple) else f"`{default}`"
        shown = "empty" if default in ("", {}) else shown
        unit = f" ({f.metadata['unit']})" if f.metadata["unit"] else ""
        lines.append(f"| `{name}` | {_kind_name(hint)}{unit} | {shown} | {f.metadata['meaning']} |\n")
    return _PAGE_HEAD + "".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(settings_page())
