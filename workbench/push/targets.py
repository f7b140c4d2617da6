"""The DPUs that policies are pushed to: `[targets.NAME]` of the settings, every word checked.

Names and addresses end in command lines, file names and rules: only words that nothing reads as anything else are taken.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal

from workbench.errors import SettingsError, UsageError
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.settings import Settings, TargetSettings
from workbench.sources import ssh

_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")
_DEVICE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}")
_FOLDER: Final = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}){1,12}")
_PORT: Final = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Target:
    """A DPU. bridge: '' finds the only one there is. ports, prefixes: whom it enforces for; both empty: every end.

    telemetry: (address, port) of the collectors that it must still reach. sampling: 1 in how many packets of rules with `log`
    it tells them; 0: none.
    """

    name: str
    kind: Literal["ovs", "nft"]
    far: ssh.Far
    bridge: str = ""
    ports: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    telemetry: tuple[tuple[str, int], ...] = ()
    folder: str = "/var/lib/workbench-dpu"
    sampling: int = 0

    @property
    def home(self) -> str:
        """The resident's folder there."""
        return f"{self.folder}/{self.name}"

    def served(self) -> AddressSet:
        """The addresses behind it: those of `serves`; all of them where it names none."""
        if not self.prefixes:
            return addresses.ANY
        return addresses.of_ranges(part for text in self.prefixes for part in addresses.prefix(text).ranges)


def is_name(text: str) -> bool:
    """Whether it can name a target."""
    return bool(_NAME.fullmatch(text))


def known_targets(settings: Settings) -> dict[str, Target]:
    """Every target, by name. SettingsError names the table, the key and the word that is wrong."""
    return {name: _target(name, said) for name, said in settings.targets.items()}


def target_of(settings: Settings, name: str) -> Target:
    """The target of that name. UsageError with the nearest where there is none, SettingsError where its table is wrong."""
    if name not in settings.targets:
        near = difflib.get_close_matches(name, list(settings.targets), 1, 0.5)
        known = ", ".join(sorted(settings.targets))
        remedy = f"The nearest is {near[0]}." if near else f"There are: {known}." if known else "Add it: see docs/push.md."
        raise UsageError(f"the settings have no [targets.{name}]", remedy)
    return _target(name, settings.targets[name])


def _target(name: str, said: TargetSettings) -> Target:
    where = f"targets.{name}"
    if not is_name(name):
        raise SettingsError(f"targets: {name!r} is no name", "A small letter first, then up to 30 of a-z, 0-9 and -.")
    if not said.address:
        raise SettingsError(f"{where}.address is missing", "Write ssh://user@host, netns:NAME or local.")
    try:
        far = ssh.parse_far(said.address)
    except UsageError as error:
        raise SettingsError(f"{where}.address: {error.message}", error.remedy) from error
    if said.bridge and not _DEVICE.fullmatch(said.bridge):
        raise SettingsError(f"{where}.bridge: {said.bridge!r} is no bridge", "Up to 15 letters, digits and _ . @ -.")
    if said.bridge and said.kind != "ovs":
        raise SettingsError(f"{where}.bridge: {said.kind} has no bridge", "Leave the key out.")
    if not _FOLDER.fullmatch(said.folder):
        raise SettingsError(f"{where}.folder: {said.folder!r} is not taken", "An absolute path of letters, digits and _ . -.")
    ports, prefixes = _served(where, said.serves)
    collectors = tuple(_collector(where, word) for word in said.telemetry)
    _check_sampling(where, said)
    return Target(name, said.kind, far, said.bridge, ports, prefixes, collectors, said.folder, said.sampling)


def _check_sampling(where: str, said: TargetSettings) -> None:
    if said.sampling and said.kind != "ovs":
        raise SettingsError(f"{where}.sampling: {said.kind} tells by its log", "Leave the key out.")
    if said.sampling > 65535:
        raise SettingsError(f"{where}.sampling: 1 in {said.sampling} is not taken", "1 in 65535 is the least.")
    if said.sampling and not said.telemetry:
        raise SettingsError(f"{where}.sampling: nobody is there to be told", f"Name collectors in {where}.telemetry.")


def _served(where: str, words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ports and prefixes apart: what holds a slash, a colon or begins as an address is meant as a prefix."""
    ports, prefixes = [], []
    for word in words:
        if "/" in word or ":" in word or re.fullmatch(r"[0-9.]+", word):
            try:
                addresses.prefix(word)
            except ValueError as error:
                raise SettingsError(f"{where}.serves: {error}", "Write a port, such as pf0vf0, or a prefix.") from error
            prefixes.append(word)
        elif _DEVICE.fullmatch(word):
            ports.append(word)
        else:
            raise SettingsError(f"{where}.serves: {word!r} is no port and no prefix", "Write such as pf0vf0 or 10.20.1.0/24.")
    return tuple(ports), tuple(prefixes)


def _collector(where: str, word: str) -> tuple[str, int]:
    address, colon, port = word.rpartition(":")
    bare = address.removeprefix("[").removesuffix("]") if address.startswith("[") and address.endswith("]") else address
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        found = None
    if not colon or found is None or (found.version == 6) != (bare != address) or not _PORT.fullmatch(port):
        raise SettingsError(f"{where}.telemetry: {word!r} is no collector", "Write such as 192.0.2.9:4739 or [2001:db8::9]:4739.")
    if not 0 < int(port) < 65536:
        raise SettingsError(f"{where}.telemetry: {word!r} names a port that there can't be", "Ports are 1 to 65535.")
    return str(found), int(port)
