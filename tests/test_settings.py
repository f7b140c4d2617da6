import dataclasses
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.errors import MissingPathError, SettingsError
from workbench.settings import FlowSettings, Settings, load_settings, settings_page, settings_path

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORKBENCH_CONFIG", str(tmp_path / "settings.toml"))
    return tmp_path / "settings.toml"


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings_path() == tmp_path / ".config" / "workbench" / "settings.toml"
    assert load_settings() == Settings()


def test_the_file_in_the_home_folder_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORKBENCH_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings_path().parent.mkdir(parents=True)
    settings_path().write_text("[flows]\nudp_idle = 7\n")
    assert load_settings().flows.udp_idle == 7.0


def test_every_kind_of_value_is_taken(config: Path) -> None:
    config.write_text(
        '[flows]\ntcp_idle = 120\nchecksums = "ignore"\nmax_open_flows = 5000\nlikely_server_ports = ["80/tcp", "99/sctp"]\n'
        '[audit]\nprincipal = "me"\n[keys]\nquit = "ctrl+q"\n'
    )
    settings = load_settings()
    assert settings.flows == FlowSettings(
        tcp_idle=120.0, checksums="ignore", max_open_flows=5000, likely_server_ports=("80/tcp", "99/sctp")
    )
    assert isinstance(settings.flows.tcp_idle, float)
    assert settings.flows.server_ports() == ((6, 80), (132, 99))
    assert settings.audit.principal == "me"
    assert settings.keys == {"quit": "ctrl+q"}
    assert settings.cache == Settings().cache


@pytest.mark.parametrize(
    ("text", "said", "remedy"),
    [
        ("[flows]\nudp_idel = 7\n", "unknown key flows.udp_idel", "flows.udp_idle"),
        ('[app]\ntheme = "pink"\n', "app.theme = 'pink' is not one of", "contrast"),
        ("[flow]\nudp_idle = 7\n", "unknown key flow", "The nearest key is flows."),
        ("udp_idle = 7\n", "unknown key udp_idle", "flows.udp_idle"),
        ("[flows]\nxyzzy = 7\n", "unknown key flows.xyzzy", "Known here: tcp_idle"),
        ("[flows.deeper]\nx = 1\n", "unknown key flows.deeper", "Known here"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(config: Path, text: str, said: str, remedy: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert said in caught.value.message
    assert str(config) in caught.value.message
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[flows]\nudp_idle = "7"\n', "flows.udp_idle = '7' is not a number"),
        ("[flows]\nudp_idle = true\n", "is not a number"),
        ("[flows]\nudp_idle = nan\n", "is not a number"),
        ("[flows]\nudp_idle = inf\n", "is not a number"),
        ("[flows]\nudp_idle = -1\n", "is too small"),
        ("[flows]\nmax_open_flows = 1.5\n", "is not a whole number"),
        ("[flows]\nmax_open_flows = 1\n", "is too small"),
        ('[flows]\nkey_scope = "all"\n', 'is not one of "both", "vni", "vlan", "none"'),
        ("[flows]\nlikely_server_ports = [80]\n", "is not a list of strings"),
        ('[flows]\nlikely_server_ports = ["80"]\n', "'80' is no port"),
        ('[flows]\nlikely_server_ports = ["65536/tcp"]\n', "'65536/tcp' is no port"),
        ('[flows]\nlikely_server_ports = ["\\u0663/tcp"]\n', "is no port"),
        ("flows = 3\n", "flows = 3 is not a table"),
        ("[keys]\nquit = 3\n", "is not a table of strings"),
        ("[audit]\nprincipal = 3\n", "is not a string"),
        ("this is no toml", "is no TOML"),
    ],
)
def test_a_wrong_value_is_named(config: Path, text: str, said: str) -> None:
    config.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert said in caught.value.message
    assert str(config) in caught.value.message
    assert caught.value.remedy


def test_bytes_that_are_no_text(config: Path) -> None:
    config.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is no TOML"):
        load_settings()


def test_a_file_that_was_named_must_be_there(config: Path) -> None:
    with pytest.raises(MissingPathError, match="does not exist"):
        load_settings()
    with pytest.raises(MissingPathError, match="cannot be read"):
        load_settings(config.parent)


def test_settings_travel_to_workers_and_cannot_be_changed() -> None:
    flows = dataclasses.replace(FlowSettings(), key_scope="none")
    assert pickle.loads(pickle.dumps(flows)) == flows
    with pytest.raises(dataclasses.FrozenInstanceError):
        flows.tcp_idle = 1.0  # type: ignore[misc]


def test_every_default_port_is_one_and_none_is_said_twice() -> None:
    ports = FlowSettings().server_ports()
    assert len(set(ports)) == len(ports)
    assert (6, 443) in ports
    assert (17, 53) in ports


def test_the_page_is_current_and_has_every_key() -> None:
    assert PAGE.read_text() == settings_page()
    for table in dataclasses.fields(Settings):
        assert f"`{table.name}" in PAGE.read_text()


def test_importing_settings_loads_nothing_heavy() -> None:
    code = (
        "import sys, workbench.settings; print(sorted(m for m in ('numpy', 'tomllib', 'pyarrow', 'numba') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
