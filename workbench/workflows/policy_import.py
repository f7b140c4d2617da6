"""Importing policies of other systems, as the command does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import UsageError


@dataclass(frozen=True, slots=True)
class ImportedText:
    """text: the policy as YAML; rules: how many it has; told: what to know before relying on it."""

    text: str
    rules: int
    told: tuple[str, ...]


def import_policies(form: str, paths: Sequence[Path], name: str, namespace: str) -> ImportedText:
    """One policy of all files and folders, in order; as `registry.import_policy`, and what reading files raises.

    UsageError for a name that is none.
    """
    from pydantic import ValidationError

    from workbench.policy.foreign.registry import import_policy
    from workbench.policy.model import Metadata
    from workbench.policy.reading import read_texts
    from workbench.policy.written import text_of

    try:
        Metadata(name=name)
    except ValidationError as error:
        raise UsageError(f"--name: {error.errors()[0]['msg']}", "Give another name.") from error
    texts = [text for path in paths for text in read_texts(path)]
    made = import_policy(form, texts, name, namespace)
    return ImportedText(text_of(made.policy, made.notes), len(made.policy.rules), made.told)
