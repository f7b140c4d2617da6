"""Ask a server for a new service, as psexec does: ``python -m sample_captures.make.svcctl SERVER USER PASSWORD COMMAND``.

impacket's own services.py encrypts wherever the server can; this speaks SMB 2.1, which has no encryption, so that the
command line stands on the wire for a test to look for.
"""

from __future__ import annotations

import json
import sys

from impacket.dcerpc.v5 import scmr, transport
from impacket.dcerpc.v5.rpcrt import DCERPCException
from impacket.smb3structs import SMB2_DIALECT_21


def create(server: str, user: str, password: str, command: str) -> dict[str, str]:
    """What the server answered to CreateServiceW: ``fault`` with its name, empty where it made the service."""
    pipe = transport.DCERPCTransportFactory(rf"ncacn_np:{server}[\pipe\svcctl]")
    pipe.set_credentials(user, password, "WORKS", "", "", None)
    pipe.preferred_dialect(SMB2_DIALECT_21)
    rpc = pipe.get_dce_rpc()
    rpc.connect()
    rpc.bind(scmr.MSRPC_UUID_SCMR)
    manager = scmr.hROpenSCManagerW(rpc)["lpScHandle"]
    try:
        scmr.hRCreateServiceW(
            rpc, manager, "lark\0", "lark\0", lpBinaryPathName=f"{command}\0", dwStartType=scmr.SERVICE_DEMAND_START
        )
        fault = ""
    except DCERPCException as error:
        fault = str(error)
    rpc.disconnect()
    return {"fault": fault}


if __name__ == "__main__":
    json.dump(create(*sys.argv[1:5]), sys.stdout)
