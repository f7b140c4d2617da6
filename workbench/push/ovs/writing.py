"""A policy as OpenFlow flows, for one `ovs-ofctl --bundle add-flows`: all of them or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from workbench.errors import PolicyError
from workbench.policy import addresses
from workbench.policy.addresses import AddressSet
from workbench.policy.model import Rule
from workbench.policy.resolved import Meant, Resolved
from workbench.policy.services import ANY, SCTP
from workbench.policy.target_names import check_names
from workbench.push import compiled
from workbench.push.compiled import Compiled, Note, OvsLayout, Report
from workbench.push.noting import notes_of
from workbench.push.ovs import matching
from workbench.push.ovs.tables import (
    AS_A_REPLY,
    AS_IT_GOES,
    DONE,
    HOOK_PRIORITY,
    MOST_RULES,
    NOBODY,
    NUMBER,
    PHASE,
    Tables,
    in_register,
    priority,
    tables_of,
)
from workbench.push.regions import ICMP_OF, PORTS, UNTRACKED, cuts, ranges_of, region, stages, until_last_cut

FAMILIES = (32, 128)
_MAPPED = "::ffff:0:0/96"
_SCTP = (
    "a switch that tracks SCTP by addresses alone (userspace datapath, 3.1) lets the ends of one association that is allowed"
    " reach each other on every port of SCTP"
)
#: Types of frames that are VLAN tags (IEEE 802.1Q).
_TAGS = (0x8100, 0x88A8)


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow to be written. number: of the rule in its cookie."""

    table: int
    priority: int
    match: str
    actions: str
    number: int

    def text(self, tables: Tables) -> str:
        """As ovs-ofctl reads it."""
        match = f"{self.match}," if self.match else ""
        cookie = f"cookie={tables.cookie(self.number):#x}"
        return f"{cookie},table={self.table},priority={self.priority},{match}actions={self.actions}"


def compile_rules(
    resolved: Resolved,
    layout: OvsLayout | None = None,
    before: Mapping[int, str] | None = None,
    serves: AddressSet = addresses.ANY,
) -> Compiled:
    """The flows of a policy. before: the `ids` of what runs now, whose numbers are kept; serves: the ends behind the target.

    PolicyError names the rule and what Open vSwitch cannot do.
    """
    layout = layout or OvsLayout()
    check_names(resolved)
    ids = compiled.numbered(resolved, before)
    if any(NUMBER & compiled.DEFAULT <= number < compiled.DEFAULT for number in ids):
        raise PolicyError("more rule numbers than a register holds", "Compile without the numbers of what ran before.")
    writer = _Writer(resolved, tables_of(layout), {rule_id: number for number, rule_id in ids.items()}, serves)
    flows = list(writer.flows())
    lines = [remove(layout).strip(), *(flow.text(writer.tables) for flow in flows)]
    text = "\n".join(lines) + "\n"
    per = Counter(ids[flow.number] for flow in flows if flow.number < compiled.DEFAULT)
    adopting = [remove(layout).strip(), *(flow.text(writer.tables) for flow in writer.adopting())]
    return Compiled(
        "ovs",
        resolved.name,
        text,
        "\n".join(adopting) + "\n",
        remove(layout),
        ids,
        layout,
        Report(len(resolved.rules), len(flows), len(text), 0, tuple(per.most_common()), tuple(_notes(resolved, layout))),
        tuple(writer.numbers[meant.rule_id] for meant in resolved.rules if cuts(meant)),
        {writer.numbers[m.rule_id]: m.rule.expires for m in resolved.rules if m.rule.expires is not None},
    )


def remove(layout: OvsLayout) -> str:
    """The line that takes away what is ours, and nothing else."""
    return f"delete cookie={layout.ours << 32:#x}/0xffffffff00000000\n"


def _notes(resolved: Resolved, layout: OvsLayout) -> Iterator[Note]:
    yield from notes_of(resolved)
    rejecting = [meant.rule_id for meant in resolved.rules if meant.rule.action == "reject"]
    for rule_id in [*rejecting, *([f"{resolved.name}/default"] if resolved.default == "reject" else [])]:
        yield Note("reject", rule_id, "Open vSwitch cannot answer: packets are dropped without a word")
    for meant in resolved.rules:
        if any(box.proto == (SCTP, SCTP) and (box.sport, box.dport) != (PORTS, PORTS) for box in meant.boxes):
            yield Note("sctp", meant.rule_id, _SCTP)
        if meant.rule.log and layout.sampling is None:
            yield Note("log", meant.rule_id, "not told: sample() is not allowed on this target; its flows are counted")
        elif meant.rule.log and meant.rule.action != "pass":
            cut = ", and all of those that it cuts," if cuts(meant) else ""
            text = f"told by sample(): the first packets of its connections{cut} leave the hardware's path"
            yield Note("log", meant.rule_id, text)


class _Writer:
    """Flows of one policy, table by table."""

    def __init__(self, resolved: Resolved, tables: Tables, numbers: Mapping[str, int], serves: AddressSet) -> None:
        self.resolved = resolved
        self.tables = tables
        self.numbers = numbers
        self.serves = serves
        self.replies = until_last_cut(resolved)

    def flows(self) -> Iterator[Flow]:
        """All of them, from the hook on."""
        yield from self._entry()
        yield from self._track()
        yield from self._state()
        yield from self._verdicts()
        yield from self._established()
        yield from self._judge()
        for stage, run in enumerate(self.replies):
            yield from self._stage(run, self.tables.reply(stage), back=True, after=self._after_replies(stage))

    def adopting(self) -> Iterator[Flow]:
        """Everything passes, and what is live is remembered."""
        t = self.tables
        yield from self._entry()
        yield from self._track(t.passing)
        label = f"set_field:{t.cookie(compiled.ADOPTED):#x}->ct_label"
        commit = f"ct(commit,zone={t.layout.zone},exec({label})),resubmit(,{t.passing})"
        for word in matching.IP.values():
            yield Flow(t.state, 300, f"ct_state=+new+trk,{word}", commit, compiled.ADOPTED)
        yield Flow(t.state, 0, "", f"resubmit(,{t.passing})", compiled.PLUMBING)
        yield self._passing()

    def _entry(self) -> Iterator[Flow]:
        t = self.tables
        yield Flow(0, HOOK_PRIORITY, f"{t.register}=0", f"resubmit(,{t.entry})", compiled.PLUMBING)
        for match in (f"ip,nw_proto={ICMP_OF[128]}", f"ipv6,nw_proto={ICMP_OF[32]}"):
            yield Flow(t.entry, 400, match, "drop", compiled.INVALID)
        for match in (f"ipv6,ipv6_src={_MAPPED}", f"ipv6,ipv6_dst={_MAPPED}"):
            yield Flow(t.entry, 400, match, "drop", compiled.INVALID)
        for kind in _TAGS:  # a tag too many for the switch: Linux takes IP behind two tags of VLAN 0 for plain IP
            yield Flow(t.entry, 400, f"dl_type={kind:#x}", "drop", compiled.INVALID)
        for wide in FAMILIES:
            ranges = ranges_of(self.serves, wide)
            for match in [matching.IP[wide]] if ranges is None else matching.either_end(ranges, wide):
                yield Flow(t.entry, 300, match, f"resubmit(,{t.track})", compiled.PLUMBING)
        yield Flow(t.entry, 0, "", f"resubmit(,{t.passing})", compiled.OTHER)

    def _track(self, discovery: int | None = None) -> Iterator[Flow]:
        t = self.tables
        to = t.judge(0) if discovery is None else discovery
        for kind in UNTRACKED:
            yield Flow(t.track, 300, f"icmp6,icmp_type={kind}", f"resubmit(,{to})", compiled.PLUMBING)
        for wide in FAMILIES:
            yield Flow(t.track, 200, matching.IP[wide], f"ct(table={t.state},zone={t.layout.zone})", compiled.PLUMBING)

    def _state(self) -> Iterator[Flow]:
        t = self.tables
        judge, reply, known = (f"resubmit(,{to})" for to in (t.judge(0), t.reply(0), t.established))
        yield Flow(t.state, 500, "ct_state=+inv+trk", "drop", compiled.INVALID)
        if self.replies:
            for word in ("tcp", "tcp6"):  # in the middle of a connection that nobody remembers: it may be a reply
                yield Flow(t.state, 400, f"ct_state=+new+trk,{word},tcp_flags=-syn", reply, compiled.PLUMBING)
            adopted = f"ct_state=+est+trk,ct_label={t.cookie(compiled.ADOPTED):#x}"
            yield Flow(t.state, 250, adopted, reply, compiled.PLUMBING)
            yield Flow(t.state, 200, "ct_state=+est-rpl+trk", judge, compiled.PLUMBING)
            yield Flow(t.state, 200, "ct_state=+est+rpl+trk", reply, compiled.PLUMBING)
        yield Flow(t.state, 300, "ct_state=+new+trk", judge, compiled.PLUMBING)
        yield Flow(t.state, 100, "ct_state=+est+trk", known, compiled.PLUMBING)
        yield Flow(t.state, 90, "ct_state=+rel+trk", known, compiled.PLUMBING)
        yield Flow(t.state, 0, "", "drop", compiled.INVALID)

    def _verdicts(self) -> Iterator[Flow]:
        t = self.tables
        known = f"resubmit(,{t.established})"
        if self.replies:
            adopted = t.cookie(compiled.ADOPTED)
            replies = f"{t.register}={AS_A_REPLY:#x}/{PHASE:#x}"
            judge = f"resubmit(,{t.judge(0)})"
            yield Flow(t.verdict, 450, f"ct_state=+new+trk,{replies}", judge, compiled.PLUMBING)
            yield Flow(t.verdict, 450, f"ct_state=+est+trk,ct_label={adopted:#x},{replies}", judge, compiled.PLUMBING)
            yield Flow(t.verdict, 440, f"ct_state=+est+trk,{replies}", known, compiled.PLUMBING)
            going = f"ct_state=+est+trk,{t.register}={AS_IT_GOES:#x}/{PHASE:#x}"
            yield Flow(t.verdict, 400, going, known, compiled.PLUMBING)
        for meant in self.resolved.rules:
            yield from self._verdict(self.numbers[meant.rule_id], meant.rule.action, meant.rule)
        yield from self._verdict(compiled.DEFAULT, self.resolved.default)
        yield from self._verdict(compiled.UNMANAGED, "allow")
        yield Flow(t.verdict, 0, "", "drop", compiled.INVALID)

    def _verdict(self, number: int, action: str, rule: Rule | None = None) -> Iterator[Flow]:
        t = self.tables
        going = f"{t.register}={in_register(AS_IT_GOES, number):#x}"
        told = self._told(number) if rule is not None and rule.log else ""
        stop = told.rstrip(",") or "drop"  # nothing behind a sample: dropped
        if rule is not None and rule.existing == "cut":
            yield Flow(t.verdict, 500, f"{t.register}={in_register(AS_A_REPLY, number):#x}", stop, number)
            yield Flow(t.verdict, 500, f"ct_state=+est+trk,{going}", stop, number)
        if action == "allow":
            commit = f"ct(commit,zone={t.layout.zone},exec(set_field:{t.cookie(number):#x}->ct_label))"
            for word in matching.IP.values():  # ct() wants a family
                yield Flow(t.verdict, 300, f"ct_state=+new+trk,{word},{going}", f"{told}{commit},resubmit(,{t.passing})", number)
            yield Flow(t.verdict, 300, f"ct_state=-trk,{going}", f"{told}resubmit(,{t.passing})", number)
        elif action != "pass":
            yield Flow(t.verdict, 300, going, stop, number)

    def _told(self, number: int) -> str:
        how = self.tables.layout.sampling
        if how is None:
            return ""
        where = f"collector_set_id={how.collector_set},obs_domain_id={how.domain}"
        return f"sample(probability={how.probability},{where},obs_point_id={compiled.point(number)}),"

    def _established(self) -> Iterator[Flow]:
        t = self.tables
        on = f"resubmit(,{t.passing})"
        letting = [self.numbers[meant.rule_id] for meant in self.resolved.rules if meant.rule.action == "allow"]
        letting += [compiled.DEFAULT] if self.resolved.default == "allow" else []
        for number in [*letting, compiled.UNMANAGED, compiled.ADOPTED]:
            yield Flow(t.established, 100, f"ct_label={t.cookie(number):#x}", on, number)
        yield Flow(t.established, 0, "", on, compiled.ESTABLISHED)
        yield self._passing()

    def _passing(self) -> Flow:
        t = self.tables
        on = f"ct_clear,set_field:{DONE:#x}->{t.register},resubmit(,0)"
        return Flow(t.passing, 0, "", on, compiled.PLUMBING)

    def _judge(self) -> Iterator[Flow]:
        t = self.tables
        runs = stages(self.resolved)
        for stage, run in enumerate(runs):
            last = stage == len(runs) - 1
            after = "" if last else f"resubmit(,{t.judge(stage + 1)})"
            yield from self._stage(run, t.judge(stage), back=False, after=after)
        inside = self.resolved.internal
        table = t.judge(len(runs) - 1)
        for wide in FAMILIES:
            found = region(inside, inside, (ANY,), wide)
            if found is not None:
                said = self._said(AS_IT_GOES, compiled.DEFAULT)
                for match, actions in matching.flows(found, 0x7FFFFFF0 | wide >> 7, said):
                    yield Flow(table, 1, match, actions, compiled.DEFAULT)
        yield Flow(table, 0, "", self._said(AS_IT_GOES, compiled.UNMANAGED), compiled.UNMANAGED)

    def _stage(self, run: list[Meant], table: int, back: bool, after: str) -> Iterator[Flow]:
        if len(run) > MOST_RULES:
            raise PolicyError(f"more than {MOST_RULES} rules in a row", "Open vSwitch has no more priorities; split the policy.")
        for place, meant in enumerate(run):
            number = self.numbers[meant.rule_id]
            said = number if not back or cuts(meant) else NOBODY  # of replies only who cuts matters
            actions = after if meant.rule.action == "pass" else self._said(AS_A_REPLY if back else AS_IT_GOES, said)
            for wide in FAMILIES:
                try:
                    found = region(meant.src, meant.dst, meant.boxes, wide, back)
                    if found is None:
                        continue
                    conjunction = (number << 2 | wide >> 7 << 1 | back) + 1
                    for match, doing in matching.flows(found, conjunction, actions):
                        yield Flow(table, priority(place), match, doing, number)
                except PolicyError as error:
                    raise PolicyError(f"{meant.rule_id}: {error.message}", error.remedy) from error
        if after:
            yield Flow(table, 0, "", after, compiled.PLUMBING)

    def _after_replies(self, stage: int) -> str:
        if stage + 1 < len(self.replies):
            return f"resubmit(,{self.tables.reply(stage + 1)})"
        return self._said(AS_A_REPLY, NOBODY)

    def _said(self, phase: int, number: int) -> str:
        t = self.tables
        return f"set_field:{in_register(phase, number):#x}->{t.register},resubmit(,{t.verdict})"
