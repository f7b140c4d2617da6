from __future__ import annotations

import random
import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests import needs
from tests.push import compiling
from workbench.errors import PolicyError
from workbench.policy.resolved import Resolved
from workbench.push.compiled import NftLayout
from workbench.push.nft import compile_rules, prove, read_rules
from workbench.push.nft.rules import NftTextError


def kernel_said(texts: list[str]) -> list[str]:
    """What nft, in a namespace of its own, says of each text after loading it: one process for all."""
    script = 'for f in "$@"; do nft -c -f "$f" && nft -f "$f" && nft -j list ruleset || exit 1; done'

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for n, text in enumerate(texts):
            files.append(Path(folder) / f"{n}.nft")
            files[-1].write_text(text)
        words = ["unshare", "-n", "sh", "-c", script, "sh", *map(str, files)]
        ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@needs.program("nft")
@needs.root("for a network namespace")
def test_random_policies_are_proven_from_the_text_and_from_what_the_kernel_has() -> None:
    tried = []
    for seed in range(25):
        dice = random.Random(seed)
        meant, serves = compiling.resolved(dice), compiling.served(dice)
        tried.append((seed, meant, serves, compile_rules(meant, serves=serves)))
    listings = kernel_said([made.text for _, _, _, made in tried])
    for (seed, meant, serves, made), listing in zip(tried, listings, strict=True):
        for said in (made.text, listing):
            proof = prove(made, meant, said, serves)
            assert proof.equal, (seed, proof.problems, [one.text() for one in proof.examples])


def test_what_is_cut_is_logged_whichever_way_it_goes() -> None:
    made = compile_rules(compiling.contain())
    for chain in ("going0", "reply0"):
        (lines,) = re.findall(rf"chain {chain} \{{\n(.*?)\n\t\}}", made.text, re.DOTALL)
        told, stopped = lines.split("\n")[::2], lines.split("\n")[1::2]
        assert all(' log prefix "contain/no-guests " ' in line for line in told)
        assert [line.split(" limit ")[0] for line in told] == [line.split(" counter drop")[0] for line in stopped]
    assert any("first packets, and what it cuts" in note.text for note in made.report.notes)


def changed(meant: Resolved, find: str, instead: str) -> tuple[bool, str]:
    made = compile_rules(meant)
    text = re.sub(find, instead, made.text, count=1)
    assert text != made.text
    proof = prove(made, meant, text)
    return proof.equal, " ".join([*proof.problems, *(one.text() for one in proof.examples)])


@pytest.mark.parametrize(
    ("find", "instead", "said"),
    [
        pytest.param("tcp dport 443 counter", "tcp dport 444 counter", "by contain/no-guests", id="another-port"),
        pytest.param(r"10\.30\.0\.0/24(?=.{20,60} counter)", "10.30.0.0/25", "10.30.0.128 ", id="half-a-prefix"),
        pytest.param("tcp sport 443 counter drop", "tcp sport 443 counter accept", "a reply", id="replies-get-through"),
        pytest.param("ct state new tcp flags & syn == 0 jump reply0", "", "mid-stream", id="mid-stream"),
        pytest.param("invalid : goto invalid", "invalid : accept", "invalid", id="invalid"),
        pytest.param("ip6 saddr ::ffff.*", "", "IPv4 src", id="mapped"),
        pytest.param("meta nfproto ipv4 meta l4proto 58.*", "", "proto 58", id="icmp-of-the-other-family"),
        pytest.param('comment "contain/work"', 'comment "contain/odd"', "by contain/odd", id="said-to-be-another-rule"),
        pytest.param("counter goto rejected", "counter drop", "meant reject", id="no-answer"),
        pytest.param("priority -10; policy drop", "priority -9; policy drop", "hook forward", id="another-priority"),
        pytest.param("chain judge1 {", "chain judge2 {", "no chain judge1", id="a-chain-that-is-not-there"),
        pytest.param("tcp dport 9 counter goto judge1", "tcp dport 9 counter goto judge0", "circles", id="circles"),
    ],
)
def test_every_change_is_noticed(find: str, instead: str, said: str) -> None:
    equal, told = changed(compiling.contain(), find, instead)
    assert not equal
    assert said in told


def test_without_an_expired_rule_the_rest_of_the_policy_holds() -> None:
    for seed in range(10):
        meant = compiling.resolved(random.Random(seed))
        made = compile_rules(meant)
        for gone in meant.rules:
            left = "\n".join(line for line in made.text.splitlines() if not line.endswith(f'comment "{gone.rule_id}"'))
            without = replace(meant, rules=tuple(rule for rule in meant.rules if rule is not gone))
            proof = prove(made, without, left)
            assert proof.equal, (seed, gone.rule_id, proof.problems, [one.text() for one in proof.examples])


def test_a_table_is_put_in_the_place_of_ours_alone() -> None:
    made = compile_rules(compiling.contain())
    assert made.text.startswith(made.remove)
    assert made.remove == "table inet workbench_policy\ndelete table inet workbench_policy\n"
    assert not re.search(r"flush|ruleset|include|define|\$|;\s*\S*;\s*;", made.text)
    for name in ("fwd", "filter", "workbench_x; flush ruleset", "workbench_" + "a" * 50):
        with pytest.raises(PolicyError, match="no table of ours"):
            compile_rules(compiling.contain(), NftLayout(table=name))


def test_names_that_could_end_a_comment_are_refused_even_without_the_loader() -> None:
    meant = compiling.contain()
    for name in ('x" drop comment "y', "a\nflush ruleset", "x" * 200, "", "a/b/c"):
        hostile = replace(meant, rules=(replace(meant.rules[0], rule_id=f"contain/{name}"), *meant.rules[1:]))
        with pytest.raises(PolicyError, match=r"is no id of a rule|too long"):
            compile_rules(hostile)
    with pytest.raises(PolicyError, match="is no id of a rule"):
        compile_rules(replace(meant, name="contain$(reboot)"))
    with pytest.raises(PolicyError, match="is the id of two rules"):
        compile_rules(replace(meant, rules=(meant.rules[0], meant.rules[0])))


def test_large_sets_are_named_once() -> None:
    many = ", ".join(f"10.{n}.0.0/16" for n in range(0, 200, 2))
    meant = compiling.contain(**{"10.20.0.0/24": many})
    made = compile_rules(meant)
    assert made.text.count("elements = ") == 1
    assert made.report.elements == 100
    assert prove(made, meant).equal
    short = made.text.replace(", 10.198.0.0/16", "")
    assert not prove(made, meant, short).equal


@pytest.mark.parametrize(
    "line",
    [
        "ip saddr 10.0.0.1; flush ruleset",
        "ip saddr @nobody drop",
        "ip saddr 10.0.0.1 drop accept",
        "ip saddr 10.0.0.999 drop",
        "tcp dport 99999 drop",
        "tcp dport { 1, 2 drop",
        "iifname eth0 accept",
        'drop comment "a\\"b"',
        "limit rate 1/second drop",
        "meta l4proto bogus drop",
        "ct state vmap { new : accept",
        "ip6 saddr 10.0.0.1 drop",
    ],
)
def test_lines_that_our_rules_never_have_are_refused_with_their_number(line: str) -> None:
    made = compile_rules(compiling.contain())
    lines = made.text.splitlines()
    place = lines.index("\tchain invalid {") + 1
    text = "\n".join([*lines[:place], f"\t\t{line}", *lines[place:]])
    with pytest.raises(NftTextError, match=f"line {place + 1}: "):
        read_rules(text, NftLayout())


@pytest.mark.parametrize(
    "listing",
    [
        "{",
        "{}",
        '{"nftables": 5}',
        '{"nftables": [{"table": {"family": "inet", "name": "other"}}]}',
        '{"nftables": [{"table": {"family": "inet", "name": "workbench_policy", "flags": "dormant"}}]}',
        "{" * 100_000,
    ],
)
def test_listings_that_are_not_ours_are_refused(listing: str) -> None:
    with pytest.raises(NftTextError):
        read_rules(listing, NftLayout())
