"""What the child gives up before it reads anything: rights, memory, files, the network."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import resource
import select
import signal
import socket
import sys
import threading
from typing import Final

#: Address space, bytes: of the child and of tshark each.
MEMORY: Final = 3 << 30
#: Processor time of one tshark, seconds, on top of what the child itself has used.
PROCESSOR: Final = 60
#: Open files.
FILES: Final = 128
#: A path that nobody can ever make: nothing under it can be read, written or planted.
NOWHERE: Final = "/proc/no-home" if sys.platform == "linux" else "/var/empty/no-home"

_NOBODY: Final = 65534
_NO_NEW_PRIVILEGES: Final = 38
_DUMPABLE: Final = 4
_NEW_NETWORK: Final = 0x40000000


def environment(path: str) -> dict[str, str]:
    """All that tshark sees of the environment: no home, no profile, no plugins but the system's own.

    In tshark 4.0 a personal init.lua is looked for under WIRESHARK_CONFIG_DIR and scripts and plugins under HOME;
    variables that name a plugin folder are not heeded there, later versions do.
    """
    nowhere = (
        "HOME",
        "WIRESHARK_CONFIG_DIR",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_CACHE_HOME",
        "XDG_STATE_HOME",
        "XDG_RUNTIME_DIR",
    )
    plugins = ("WIRESHARK_PLUGIN_DIR", "WIRESHARK_EXTCAP_DIR")
    fixed = {"PATH": path, "LC_ALL": "C.UTF-8", "TZ": "UTC", "TMPDIR": NOWHERE, "PYTHONDONTWRITEBYTECODE": "1"}
    return fixed | dict.fromkeys((*nowhere, *plugins), NOWHERE)


def confine() -> str:
    """Give up what is not needed; returns who the process is now. OSError where rights cannot be given up.

    Root becomes nobody, without groups and without a network. Nobody else can gain anything by a set-uid program.
    """
    os.umask(0o077)
    os.chdir("/")
    if os.geteuid() == 0:
        _become_nobody()
    for option, value in ((_NO_NEW_PRIVILEGES, 1), (_DUMPABLE, 0)):
        _call("prctl", option, value, 0, 0, 0)
    bounds = (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    )
    for what, most in bounds:
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    allot_processor()
    return f"uid {os.getuid()}"


def allot_processor() -> None:
    """Let the next tshark have its processor time; the limit counts from what this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + PROCESSOR
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def watch(sock: socket.socket) -> None:
    """End the whole process group as soon as the other end is gone, whatever this process is busy with."""
    fd = sock.fileno()

    def wait() -> None:
        poll = select.poll()
        poll.register(fd, getattr(select, "POLLRDHUP", 0) | select.POLLHUP)
        poll.poll()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


def _become_nobody() -> None:
    try:
        entry = pwd.getpwnam("nobody")
        uid, gid = entry.pw_uid or _NOBODY, entry.pw_gid or _NOBODY
    except KeyError:
        uid = gid = _NOBODY
    _call("unshare", _NEW_NETWORK)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    with contextlib.suppress(PermissionError):
        os.setuid(0)
        raise PermissionError("root's rights could not be given up")
    if os.getuid() == 0 or os.geteuid() == 0:
        raise PermissionError("root's rights could not be given up")


def _call(name: str, *arguments: int) -> None:
    """A system call that Python lacks; best effort, since not every kernel and container has it."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments)
