"""`workbench policy import`: policies of other systems into ours."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import options
from workbench.cli.messages import tell


class Foreign(StrEnum):
    """The formats; `auto` goes by apiVersion and kind."""

    AUTO = "auto"
    KUBERNETES = "kubernetes"
    CLUSTERNETWORKPOLICY = "clusternetworkpolicy"
    CILIUM = "cilium"
    CALICO = "calico"


def import_(
    form: Annotated[Foreign, typer.Argument(metavar="FORMAT", help=f"One of {', '.join(Foreign)}.", show_default=False)],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="YAML or JSON, or folders of YAML.", show_default=False, callback=options.utf8_all
        ),
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What our policy is called.", callback=options.utf8)] = (
        "imported"
    ),
    namespace: Annotated[
        str,
        typer.Option("--namespace", metavar="NS", help="Of policies that say none.", show_default=False, callback=options.utf8),
    ] = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the policy to FILE.", show_default=False)
    ] = None,
) -> None:
    """Turn policies of Kubernetes, Cilium or Calico into one of ours.

    Exact or not at all: what cannot be expressed is an error that names the field (exit code 3). Give Namespace and Pod objects
    too where selectors of namespaces or names of ports need them.
    """
    from workbench.workflows.policy_import import import_policies

    made = import_policies(form.value, files, name, namespace)
    if output is None:
        sys.stdout.write(made.text)
    else:
        from workbench.export.rows import appearing

        with appearing(output) as sink:
            sink.write(made.text.encode())
    tell(f"{made.rules} rules")
    for line in made.told:
        tell(f"  {line}")
