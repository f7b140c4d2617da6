"""Kubernetes by what TLS shows of it: names and certificates of the API server, kubelets, etcd and webhooks.

No protocol of its own: the TLS reader asks here and fills the table. Ports only support what a name or certificate says.
Names: Kubernetes, PKI certificates and requirements; kubelet's self-signed certificates `NODE@TIME` by `NODE-ca@TIME`.
"""

from __future__ import annotations

import re
from typing import Final

from workbench.decode.application.tls_certificates import Certificate

_API_NAME: Final = re.compile(r"kubernetes\.default(\.svc(\..+)?)?", re.IGNORECASE)
_WEBHOOK: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\.[a-z0-9]([-a-z0-9]*[a-z0-9])?\.svc", re.IGNORECASE)
_NODE: Final = re.compile(r"(?:^|,)CN=system:node:([^,]+)")
_SELF_MADE: Final = re.compile(r"CN=([^,@]+)@\d{9,11}")
_ISSUERS: Final = {"kubernetes": "", "kubernetes-ca": "", "kube-ca": "", "etcd-ca": "etcd", "kube-etcd-ca": "etcd"}
_SUBJECTS: Final = {"kube-apiserver": "api-server", "kube-etcd": "etcd", "kube-etcd-peer": "etcd"}
_PORTS: Final = {6443: "api-server", 10250: "kubelet", 2379: "etcd", 2380: "etcd"}

#: Role, evidence, name, node.
Shown = tuple[str, str, str | None, str | None]


def _common(name: str | None) -> str:
    """The common name of a distinguished name."""
    for part in (name or "").split(","):
        if part.startswith("CN="):
            return part[3:]
    return ""


def by_name(sni: str | None) -> Shown | None:
    """What the server name in a hello shows."""
    if not sni or "." not in sni:
        return None
    if _API_NAME.fullmatch(sni):
        return "api-server", "sni", sni, None
    return ("webhook", "sni", sni, None) if _WEBHOOK.fullmatch(sni) else None


def by_certificate(certificate: Certificate | None) -> Shown | None:
    """What a server's certificate shows; the role is '' where only its issuer says something."""
    if certificate is None:
        return None
    node = _NODE.search(certificate.subject or "")
    if node:
        return "kubelet", "subject", certificate.subject, node[1]
    made, by = _SELF_MADE.fullmatch(certificate.subject or ""), _SELF_MADE.fullmatch(certificate.issuer or "")
    if made and by and by[1] == f"{made[1]}-ca":
        return "kubelet", "issuer", certificate.subject, made[1]
    for name in (certificate.san or "").split(","):
        if _API_NAME.fullmatch(name):
            return "api-server", "san", name, None
    if _common(certificate.subject) in _SUBJECTS:
        return _SUBJECTS[_common(certificate.subject)], "subject", certificate.subject, None
    if _common(certificate.issuer) in _ISSUERS:
        return _ISSUERS[_common(certificate.issuer)], "issuer", certificate.issuer, None
    return None


def by_client(certificate: Certificate | None) -> Shown | None:
    """What a client's certificate shows of the server: kubelets and components show theirs to the API server only."""
    if certificate is None:
        return None
    node = _NODE.search(certificate.subject or "")
    if node:
        return "api-server", "subject", certificate.subject, node[1]
    if _common(certificate.subject).startswith("system:kube-"):
        return "api-server", "subject", certificate.subject, None
    return None


def shown(found: list[Shown | None], port: int) -> Shown | None:
    """One row of what several things show, the first with a role deciding; None where nothing does."""
    said = [one for one in found if one is not None]
    role = next((one[0] for one in said if one[0]), _PORTS.get(port, "")) if said else ""
    if not role:
        return None
    evidence = [one[1] for one in said]
    if _PORTS.get(port) == role:
        evidence.append("port")
    name = next((one[2] for one in said if one[0]), said[0][2])
    return role, ",".join(dict.fromkeys(evidence)), name, next((one[3] for one in said if one[3]), None)
