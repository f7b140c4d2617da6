"""Targets come out as written, or the wrong word is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import SettingsError, UsageError
from workbench.policy import addresses
from workbench.push.targets import known_targets, target_of
from workbench.settings import load_settings

WHOLE = """
[targets.dpu1]
kind = "ovs"
address = "ssh://root@dpu1.example:2222"
bridge = "ovsbr1"
serves = ["pf0vf0", "10.20.1.0/24", "fd00:20:1::/64"]
telemetry = ["192.0.2.9:4739", "[2001:db8::9]:6343"]
sampling = 100
[targets.edge-2]
kind = "nft"
address = "netns:edge"
"""


def settings_of(tmp_path: Path, text: str):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    return load_settings(file)


def test_targets_come_out_as_written(tmp_path: Path) -> None:
    found = known_targets(settings_of(tmp_path, WHOLE))
    dpu1, edge = found["dpu1"], found["edge-2"]
    assert (dpu1.kind, str(dpu1.far), dpu1.bridge) == ("ovs", "ssh://root@dpu1.example:2222", "ovsbr1")
    assert dpu1.ports == ("pf0vf0",)
    assert dpu1.served().texts() == ["10.20.1.0/24", "fd00:20:1::/64"]
    assert dpu1.telemetry == (("192.0.2.9", 4739), ("2001:db8::9", 6343))
    assert (dpu1.sampling, edge.sampling) == (100, 0)
    assert (edge.kind, str(edge.far), edge.served()) == ("nft", "netns:edge", addresses.ANY)


def one(**keys: object) -> str:
    base = {"address": "local", **keys}
    return "[targets.dpu1]\n" + "".join(f"{key} = {value!r}\n" for key, value in base.items())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (one(sampling=1), "targets.dpu1.sampling: nobody is there to be told"),
        (one(sampling=70000, telemetry=["192.0.2.9:4739"]), "targets.dpu1.sampling: 1 in 70000"),
        (one(sampling=1, kind="nft", telemetry=["192.0.2.9:4739"]), "targets.dpu1.sampling: nft tells by its log"),
        (one(sampling=-1), "targets.dpu1.sampling = -1 is too small"),
        (one(kind="iptables"), "targets.dpu1.kind = 'iptables' is not one of"),
        (one(adress="x"), "unknown key targets.dpu1.adress"),
        ("targets = 3\n", "targets = 3 is not a table of tables"),
        ("[targets]\ndpu1 = 3\n", "targets.dpu1 = 3 is not a table"),
        (one(serves="10.0.0.0/8"), "targets.dpu1.serves"),
        (one(address=""), "targets.dpu1.address is missing"),
        (one(address="-oProxyCommand=x"), "targets.dpu1.address: '-oProxyCommand=x'"),
        (one(address="netns:../x"), "targets.dpu1.address: 'netns:../x'"),
        (one(bridge="br 1"), "targets.dpu1.bridge: 'br 1'"),
        (one(bridge="--all"), "targets.dpu1.bridge: '--all'"),
        (one(kind="nft", bridge="br1"), "nft has no bridge"),
        (one(folder="lib"), "targets.dpu1.folder: 'lib'"),
        (one(folder="/lib/../etc"), "targets.dpu1.folder: '/lib/../etc'"),
        (one(folder="/lib;id"), "targets.dpu1.folder: '/lib;id'"),
        (one(serves=["10.20.1.1/24"]), "`10.20.1.1/24` has bits set"),
        (one(serves=["10.20.1.0/33"]), "`10.20.1.0/33` is no address"),
        (one(serves=["pf0;x"]), "targets.dpu1.serves: 'pf0;x'"),
        (one(telemetry=["192.0.2.9"]), "'192.0.2.9' is no collector"),
        (one(telemetry=["collector:4739"]), "'collector:4739' is no collector"),
        (one(telemetry=["192.0.2.9:0"]), "port that there can't be"),
        (one(telemetry=["2001:db8::9:4739"]), "is no collector"),
        ('[targets."a b"]\naddress = "local"\n', "'a b' is no name"),
        ('[targets."../x"]\naddress = "local"\n', "'../x' is no name"),
    ],
)
def test_a_wrong_word_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        known_targets(settings_of(tmp_path, text))
    assert said in caught.value.message


def test_an_unknown_target_has_the_nearest_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        target_of(settings_of(tmp_path, WHOLE), "dpu2")
    assert caught.value.remedy == "The nearest is dpu1."
    with pytest.raises(UsageError) as caught:
        target_of(settings_of(tmp_path, ""), "dpu2")
    assert "docs/push.md" in caught.value.remedy
