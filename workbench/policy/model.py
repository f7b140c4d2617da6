"""What a policy may say: strict models of DESIGN section 6. An unknown key is refused, nothing is guessed.

References between parts (groups, cycles) are the loader's to check; docs/policy.schema.json is made from these models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from workbench.policy import addresses, services

#: Characters of one text; longer ones are no policy's.
MOST_TEXT: Final = 4096

#: In this order (docs/policy.md).
TIERS: Final = ("quarantine", "admin", "app", "baseline", "default")
ACTIONS: Final = ("allow", "deny", "reject", "pass")

#: Kinds of workloads that groups may ask for.
Kind = Literal["pod", "vm", "container", "host", "node", "service", "nat", "name"]
KINDS: Final = frozenset(get_args(Kind))

#: Peers that every policy has: all addresses, those of `internal`, all others.
RESERVED: Final = ("any", "internal", "external")

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}\Z")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
#: Longer than this is no length of time but for ever.
_LONGEST: Final = timedelta(days=36525)
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d|w)\Z")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


def _named(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError(f"`{value}` is no name: a letter first, then up to 62 letters, digits, `_`, `.`, `-`")
    return value


def _prefix(value: str) -> str:
    addresses.prefix(value)
    return value


def _service(value: str) -> str:
    services.parse(value)
    return value


def _mac(value: str) -> str:
    lower = value.lower().replace("-", ":")
    if not _MAC.match(lower):
        raise ValueError(f"`{value}` is no MAC address")
    return lower


def _text(value: Any) -> Any:
    if isinstance(value, int) or value is None:
        said = "null" if value is None else str(value).lower()
        raise ValueError(f'`{said}` is not text here: write "{said}" in quotes if it is meant')
    return value


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("nothing stands here: leave the key out where nothing is meant")
    return value


Text = Annotated[str, BeforeValidator(_text), Field(max_length=MOST_TEXT)]
Name = Annotated[str, BeforeValidator(_text), Field(max_length=63)]
Prefix = Annotated[str, BeforeValidator(_text), Field(max_length=64), AfterValidator(_prefix)]
Mac = Annotated[str, BeforeValidator(_text), AfterValidator(_mac)]
Service = Annotated[str, BeforeValidator(_text), Field(max_length=64), AfterValidator(_service)]
Several = BeforeValidator(_several, json_schema_input_type=Any)


class Strict(BaseModel):
    """No unknown keys, no conversions, never changed after it was read."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Metadata(Strict):
    """Which policy it is, why it is and whose."""

    name: Name
    description: Text = ""
    owner: Text = ""

    _check = field_validator("name")(_named)


class Expression(Strict):
    """One condition on a label, as in Kubernetes' matchExpressions."""

    key: Text
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[Text] = []

    @model_validator(mode="after")
    def _values(self) -> Expression:
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"`{self.operator}` needs values")
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise ValueError(f"`{self.operator}` takes no values")
        return self


class Labels(Strict):
    """Labels that must all be there; in YAML also plainly `labels: {app: train}`."""

    matchLabels: dict[str, Text] = {}  # noqa: N815  as Kubernetes writes it
    matchExpressions: list[Expression] = []  # noqa: N815

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        """Words of Kubernetes are never taken for a label of that name, however they are spelt and whatever follows them."""
        if not isinstance(value, dict) or any(isinstance(v, dict | list) for v in value.values()):
            return value
        return value if any(str(key).lower() in ("matchlabels", "matchexpressions") for key in value) else {"matchLabels": value}

    @model_validator(mode="after")
    def _something(self) -> Labels:
        if not self.matchLabels and not self.matchExpressions:
            raise ValueError("no labels: that would be everybody; leave `labels` out or write `any`")
        return self


class Group(Strict):
    """Who: everything said must hold (labels and namespace together are both), less those of `except`.

    kind: of workload, as in `workloads`: without it the address of a service is meant by the labels that its pods have too.
    """

    cidr: Annotated[list[Prefix], Several] = []
    labels: Annotated[Labels | None, BeforeValidator(_given, Labels)] = None
    namespace: Annotated[list[Text], Several] = []
    kind: Annotated[list[Kind], Several] = []
    mac: Annotated[list[Mac], Several] = []
    vni: Annotated[list[Annotated[int, Field(ge=0, lt=1 << 24)]], Several] = []
    network: Annotated[list[Text], Several] = []
    union: Annotated[list[Text], Several] = []
    intersection: Annotated[list[Text], Several] = []
    except_: Annotated[list[Text], Several] = Field(default=[], alias="except")

    @model_validator(mode="after")
    def _whom(self) -> Group:
        for key in self.model_fields_set:
            if not getattr(self, key):
                raise ValueError(f"`{key.rstrip('_')}` has nothing in it")
        if not self.model_fields_set:
            raise ValueError("a group needs one of cidr, labels, namespace, kind, mac, vni, network, union, intersection, except")
        return self


class Rule(Strict):
    """One rule. `from` and `to` name groups, prefixes, `any`, `internal` or `external`."""

    name: Name
    tier: Literal["quarantine", "admin", "app", "baseline", "default"]
    priority: int = Field(ge=0, le=65535)
    action: Literal["allow", "deny", "reject", "pass"]
    from_: Annotated[list[Text], Several] = Field(alias="from", min_length=1)
    to: Annotated[list[Text], Several] = Field(min_length=1)
    services: Annotated[list[Service], Several] = ["any"]
    existing: Literal["keep", "cut"] = "keep"
    expires: Annotated[Text | None, BeforeValidator(_given, Text)] = None
    log: bool = False
    description: Text = ""

    _check = field_validator("name")(_named)

    @field_validator("name")
    @classmethod
    def _not_default(cls, value: str) -> str:
        if value in ("default", "unmanaged"):
            raise ValueError(f"`{value}` is the id of what happens where no rule matches")
        return value

    @field_validator("services")
    @classmethod
    def _some(cls, value: list[str]) -> list[str]:
        if not value:
            raise ValueError("no services: leave the key out for all of them")
        return value

    @field_validator("expires")
    @classmethod
    def _when(cls, value: str | None) -> str | None:
        if value is not None:
            until(value, datetime(2000, 1, 1, tzinfo=UTC))
        return value

    @model_validator(mode="after")
    def _cut(self) -> Rule:
        if self.existing == "cut" and self.action in ("allow", "pass"):
            raise ValueError(f"`existing: cut` is for deny and reject, not for {self.action}")
        return self


class Defaults(Strict):
    """What happens between internal ends where no rule matches."""

    east_west: Literal["allow", "deny", "reject"] = "deny"


class Test(Strict):
    """One expectation: between addresses or groups, this service, that verdict."""

    name: Text
    from_: Text = Field(alias="from")
    to: Text
    service: Service
    expect: Literal["allow", "deny", "reject", "unmanaged"]


class Policy(Strict):
    """A whole policy. Without `internal` every address is internal, and the default holds everywhere."""

    apiVersion: Literal["workbench/v1"]  # noqa: N815
    kind: Literal["Policy"]
    metadata: Metadata
    internal: Annotated[list[Prefix], Several] = []
    groups: dict[str, Group] = {}
    rules: list[Rule] = []
    defaults: Defaults = Defaults()
    tests: list[Test] = []

    @field_validator("groups")
    @classmethod
    def _names(cls, value: dict[str, Group]) -> dict[str, Group]:
        for name in value:
            if name in RESERVED:
                raise ValueError(f"`{name}` means something already: choose another name for the group")
            _named(name)
        return value


def until(text: str, applied: datetime) -> datetime:
    """When a rule ends: so long after it was applied (`2h`), or at a time with its zone. ValueError names the word."""
    if found := _DURATION.match(text):
        length = int(found[1]) * _SECONDS[found[2]]
        if length > _LONGEST.total_seconds():
            raise ValueError(f"`{text}` is longer than a hundred years: leave the key out for ever")
        return _in_calendar(text, lambda: applied + timedelta(seconds=length))
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{text}` is no time: `2h` (s, m, h, d, w) or `2030-01-31T12:00:00Z` is meant") from None
    if at.tzinfo is None:
        raise ValueError(f"`{text}` has no time zone: write `{text}Z` for UTC")
    return _in_calendar(text, lambda: at.astimezone(UTC))


def _in_calendar(text: str, end: Callable[[], datetime]) -> datetime:
    try:
        return end()
    except OverflowError:
        raise ValueError(f"`{text}` is before the year 1 or after the year 9999 in UTC") from None


def lasts(text: str) -> bool:
    """Whether an `expires` is a length of time, counted from when the rule is applied."""
    return _DURATION.match(text) is not None
