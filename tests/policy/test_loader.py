"""A policy that misspells anything never loads quietly: each mistake names its line, the word and what was probably meant."""

import difflib

import pytest

from workbench.errors import PolicyError
from workbench.policy.loader import MOST_PROBLEMS, load

EXAMPLE = """\
apiVersion: workbench/v1
kind: Policy
metadata: {name: contain-esxi, description: why, owner: secops}
internal: [10.0.0.0/8, "fd00::/8"]
groups:
  hypervisors: {cidr: [10.20.0.0/24, "fd00:20::/64"]}
  training:    {labels: {app: train}}
rules:
  - name: no-guest-to-mgmt
    tier: quarantine
    priority: 100
    action: deny
    from: training
    to: hypervisors
    services:
      - tcp/427
      - udp/427
    existing: cut
    expires: 2h
    log: true
  - {name: vmotion, tier: app, priority: 200, action: allow, from: hypervisors, to: hypervisors, services: [tcp/8000]}
defaults: {east_west: deny}
tests:
  - {name: vmotion still works, from: 10.20.0.5, to: 10.20.0.6, service: tcp/8000, expect: allow}
"""


def problems(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        load([("esxi.yaml", text)])
    return caught.value.message


def test_the_example_of_the_design_loads() -> None:
    loaded = load([("esxi.yaml", EXAMPLE)])
    first, second = loaded.policy.rules
    assert (first.action, first.existing, first.from_, first.services) == ("deny", "cut", ["training"], ["tcp/427", "udp/427"])
    assert (second.tier, second.priority, second.log) == ("app", 200, False)
    assert loaded.where("rules", 1, "name") == ("esxi.yaml", 21)
    assert loaded.where("rules", 0, "services", 1) == ("esxi.yaml", 17)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (
            "priority: 100",
            "prioritty: 100",
            "esxi.yaml:11: rules[0].prioritty: `prioritty` is no key here; the nearest is `priority`",
        ),
        ("udp/427", "udp/4x7", "esxi.yaml:17: rules[0].services[1]: `udp/4x7`: `4x7` is no number"),
        ("udp/427", "udp/70000", "esxi.yaml:17: rules[0].services[1]: `udp/70000`: `70000` is no number from 0 to 65535"),
        ("udp/427", "udp/9-3", "`3-9` may be meant"),
        ("udp/427", "icmp/echo-requst", "the nearest is `echo-request`"),
        ("udp/427", "gre/1", "gre has no ports"),
        ("udp/427", "htttps", "`htttps` is no service; the nearest is `https`"),
        (
            "to: hypervisors\n",
            "to: hypervizors\n",
            "esxi.yaml:14: rules[0].to[0]: there is no group `hypervizors`; the nearest is `hyp",
        ),
        ("expires: 2h", "expires: 2 hours", "esxi.yaml:19: rules[0].expires: `2 hours` is no time"),
        ("expires: 2h", "expires: 2030-13-01T00:00:00Z", "`2030-13-01T00:00:00Z` is no time"),
        ("expires: 2h", "expires: 2030-01-01T00:00:00", "no time zone"),
        ("10.20.0.0/24", "10.20.0.1/24", "`10.20.0.0/24` or `10.20.0.1` is meant"),
        ("10.20.0.0/24", "10.20.0.0/33", "esxi.yaml:6: groups.hypervisors.cidr[0]: `10.20.0.0/33` is no address or prefix"),
        ("10.20.0.0/24", "'::ffff:10.0.0.0/104'", "write the IPv4 prefix"),
        ("tier: app", "tier: apps", "`apps` is none of quarantine, admin, app, baseline, default; the nearest is `app`"),
        ("{app: train}", "{app: 1}", '`1` is not text here: write "1" in quotes'),
        ("priority: 100", "priority: high", "esxi.yaml:11: rules[0].priority: `high`"),
        ("priority: 100", "priority: 0100", "`0100`"),
        ("log: true", "log: yes", "esxi.yaml:20: rules[0].log: `yes`"),
        ("name: vmotion,", "name: no-guest-to-mgmt,", "esxi.yaml:21: rules[1].name: there is a rule `no-guest-to-mgmt` already"),
        ("    log: true", "\tlog: true", "esxi.yaml:20: a tab indents this line"),
        ("{labels: {app: train}}", "{union: [training]}", "esxi.yaml:7: groups.training: the group contains itself"),
        ("{labels: {app: train}}", "{labels: {}}", "no labels"),
        ("{labels: {app: train}}", "{}", "a group needs one of"),
        ("labels: {app", "lables: {app", "`lables` is no key here; the nearest is `labels`"),
        ("    log: true", "    log: true\n    log: true", "esxi.yaml:21: `log` is said twice; the first is on line 20"),
        ("kind: Policy", "kind: &a Policy", "`&a`: anchors are not read"),
        ("kind: Policy", "kind: !x Policy", "tags are not read"),
        ("{east_west: deny}", "{eastwest: deny}", "`eastwest` is no key here; the nearest is `east_west`"),
        ("internal:", "intern:", "esxi.yaml:4: intern: `intern` is no key here; the nearest is `internal`"),
        ("training:  ", "any:  ", "`any` means something already"),
        ("expect: allow", "expect: alow", "esxi.yaml:24: tests[0].expect: `alow` is none of"),
        ("from: training", "from: []", "rules[0].from: `[]`"),
        ("action: allow", "action: allow, existing: cut", "`existing: cut` is for deny and reject"),
        ("workbench/v1", "workbench/v2", "esxi.yaml:1: apiVersion: `workbench/v2` is none of workbench/v1"),
        ("tests:\n", "---\ntests:\n", "a second document begins here"),
    ],
)
def test_a_mistake_names_its_place_the_word_and_the_nearest(right: str, wrong: str, told: str) -> None:
    assert right in EXAMPLE
    assert told in problems(EXAMPLE.replace(right, wrong))


def test_every_mistake_is_told_at_once_in_the_order_of_the_text() -> None:
    text = EXAMPLE.replace("tier: app", "tier: apps").replace("expires: 2h", "expires: soon").replace("owner", "owned")
    assert [line.split(":")[1] for line in problems(text).splitlines()] == ["3", "19", "21"]


def test_a_file_full_of_mistakes_is_told_in_part_and_counted() -> None:
    rules = "".join(
        f"  - {{name: r{i}, tier: app, priority: 1, action: alow, from: any, to: any}}\n" for i in range(MOST_PROBLEMS + 9)
    )
    text = "apiVersion: workbench/v1\nkind: Policy\nmetadata: {name: a}\nrules:\n" + rules
    assert problems(text).splitlines()[-1] == "and 9 more"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 100_000, "levels deep"),
        ("a: {" * 100_000, "levels deep"),
        ("a: *b", "aliases are not read"),
        ("", "the file is empty"),
        ("\x00", "no YAML text"),
        ("a: \ud800", "no YAML text"),
        ("- 1", "a policy is keys with values"),
        ("? [1]\n: 2", "a key must be one word"),
        ("x" * (17 << 20), "larger than"),
        ("a: [", "this is no YAML"),
        ("? *a\n: 1", "aliases"),
    ],
)
def test_hostile_texts_are_refused_with_a_reason(text: str, told: str) -> None:
    assert told in problems(text)


def test_a_chain_of_groups_as_long_as_a_file_has_no_cycle_and_a_long_cycle_is_found() -> None:
    chain = "".join(f"  g{i}: {{union: [g{i + 1}]}}\n" for i in range(3000))
    head = "apiVersion: workbench/v1\nkind: Policy\nmetadata: {name: a}\ngroups:\n"
    assert len(load([("a", head + chain + "  g3000: {cidr: 10.0.0.1}\n")]).policy.groups) == 3001
    assert "contains itself" in problems(head + chain + "  g3000: {union: [g0]}\n")


def test_plain_scalars_are_text_unless_they_are_numbers_or_true() -> None:
    text = EXAMPLE.replace("{app: train}", "{mode: no, mac: 00:11:22:33:44:55, at: 2030-01-01}")
    labels = load([("a", text)]).policy.groups["training"].labels
    assert labels is not None
    assert labels.matchLabels == {"mode": "no", "mac": "00:11:22:33:44:55", "at": "2030-01-01"}


def test_the_files_of_a_folder_are_one_policy_and_lines_stay_theirs() -> None:
    head = "apiVersion: workbench/v1\nkind: Policy\n"
    more = (
        head + "groups:\n  web: {cidr: 10.1.0.0/16}\n"
        "rules:\n  - {name: w, tier: app, priority: 1, action: allow, from: any, to: web}\n"
    )
    loaded = load([("a.yaml", EXAMPLE), ("b.yaml", more)])
    assert [rule.name for rule in loaded.policy.rules] == ["no-guest-to-mgmt", "vmotion", "w"]
    assert loaded.where("rules", 2, "to") == ("b.yaml", 6)
    with pytest.raises(PolicyError, match=r"b.yaml:6: rules\[2\].to\[0\]: there is no group `wab`"):
        load([("a.yaml", EXAMPLE), ("b.yaml", more.replace("to: web", "to: wab"))])
    with pytest.raises(PolicyError, match=r"b.yaml:3: defaults: said already in a.yaml:22"):
        load([("a.yaml", EXAMPLE), ("b.yaml", head + "defaults: {east_west: allow}\n")])
    with pytest.raises(PolicyError, match=r"b.yaml:4: groups.training: said already in a.yaml:7"):
        load([("a.yaml", EXAMPLE), ("b.yaml", head + "groups:\n  training: {cidr: 10.0.0.1}\n")])


HEAD = "apiVersion: workbench/v1\nkind: Policy\nmetadata: {name: a}\n"
RULE = "rules:\n  - {name: r, tier: app, priority: 1, action: deny, from: any, to: any,\n     "


@pytest.mark.parametrize(
    "key", ["labels", *["cidr", "namespace", "kind", "mac", "vni", "network", "union", "intersection", "except"]]
)
def test_a_key_of_a_group_without_a_value_is_refused(key: str) -> None:
    other = "network: x" if key != "network" else "namespace: x"
    for nothing in ("", "~"):
        for rest in ("", f", {other}"):
            assert f"a:5: groups.web.{key}: " in problems_of(f"groups:\n  web: {{{key}: {nothing}{rest}}}\n")


@pytest.mark.parametrize("key", ["expires", "services", "existing", "log", "description"])
def test_a_key_of_a_rule_without_a_value_is_refused(key: str) -> None:
    assert f"a:6: rules[0].{key}: " in problems_of(f"{RULE}{key}: }}\n")


@pytest.mark.parametrize("key", ["internal", "groups", "rules", "tests", "defaults"])
def test_a_part_without_a_value_is_refused(key: str) -> None:
    assert f"a:4: {key}: " in problems_of(f"{key}:\n")


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ("{matchLabels: train}", "matchLabels: `train`"),
        ("{matchLabels: }", "matchLabels: `nothing`"),
        ("{matchExpressions: train}", "matchExpressions: `train`"),
        ("{matchlabels: train}", "matchlabels: `matchlabels` is no key here; the nearest is `matchLabels`"),
    ],
)
def test_what_kubernetes_calls_conditions_is_no_label_of_that_name(labels: str, told: str) -> None:
    assert f"a:5: groups.web.labels.{told}" in problems_of(f"groups:\n  web: {{labels: {labels}}}\n")


@pytest.mark.parametrize("word", ["999999w", "417000w", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_end_outside_the_calendar_is_refused(word: str) -> None:
    assert f"a:6: rules[0].expires: `{word}` is " in problems_of(f"{RULE}expires: {word}}}\n")


def test_what_was_meant_is_looked_for_only_for_mistakes_that_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    right = difflib.get_close_matches

    def counted(word: str, known: list[str], n: int, cutoff: float) -> list[str]:
        looked.append(len(known))
        return right(word, known, n, cutoff)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    groups = "".join(f"  group-{i}: {{union: [gruop-{i // 2}]}}\n" for i in range(600))
    said = problems_of(f"groups:\n{groups}").splitlines()
    assert "`gruop-7`; the nearest is `group-7`" in said[15]
    assert len(said) == MOST_PROBLEMS + 1
    assert len(looked) == MOST_PROBLEMS // 2
    assert max(looked) <= 250


def problems_of(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        load([("a", HEAD + text)])
    return caught.value.message
