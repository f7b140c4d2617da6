"""What an editor begins with where nothing is drafted: a small whole policy that says what each part is for."""

from __future__ import annotations

from typing import Final

EXAMPLE: Final = """\
# A policy: who may reach whom. docs/policy.md lists every key; the panes show what it would change.
apiVersion: workbench/v1
kind: Policy
metadata: {name: contain-esxi, description: no guest reaches a hypervisor's management, owner: secops}
internal: [10.0.0.0/8, "fd00::/8"]     # where rules and the default hold; ends outside are passed on
groups:                                # who: cidr, labels, namespace, mac, vni, and unions of groups
  hypervisors: {cidr: [10.20.0.0/24, "fd00:20::/64"]}
  guests: {cidr: [10.0.0.0/8, "fd00::/8"], except: [hypervisors]}
rules:                                 # tiers in this order: quarantine, admin, app, baseline, default
  - name: no-guest-to-mgmt
    tier: quarantine
    priority: 100                      # low first
    action: deny                       # allow, deny, reject, pass
    from: guests
    to: hypervisors
    services: [tcp/427, tcp/443, tcp/902, udp/427]
    existing: cut                      # what becomes of live sessions: keep or cut
    log: true
defaults: {east_west: allow}           # what happens between internal ends where no rule matches
tests:
  - {name: guests are kept out, from: 10.30.0.5, to: 10.20.0.6, service: tcp/427, expect: deny}
  - {name: vmotion still works, from: 10.20.0.5, to: 10.20.0.6, service: tcp/8000, expect: allow}
"""
