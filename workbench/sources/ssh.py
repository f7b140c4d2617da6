"""Commands on a DPU: over the system's ssh, in a network namespace, or here.

The person's own ssh configuration holds: keys, jump hosts, users, host keys. Nothing is asked (BatchMode), so what the
configuration can't do by itself fails, and the failure is ssh's own words. A command is a list of words; each is quoted for the
shell at the far end, so no name can be read as anything else. Costs a connection a command, unless the person's configuration
shares one (ControlMaster).
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from workbench.errors import FarError, UsageError

#: What a connection is told besides the person's configuration. Nothing may be asked; no terminal, no forwarding, no command of
#: the configuration's own in place of ours; a dead far end is noticed after 15 s.
OPTIONS: Final = (
    "-T",
    "-x",
    "-oBatchMode=yes",
    "-oConnectTimeout=10",
    "-oServerAliveInterval=5",
    "-oServerAliveCountMax=3",
    "-oClearAllForwardings=yes",
    "-oRemoteCommand=none",
    "-oRequestTTY=no",
    "-oEscapeChar=none",
)
#: ssh's own exit code where it couldn't connect, or lost the connection (ssh(1)).
LOST: Final = 255
#: What one command may print; more is a fault or an attack.
MOST: Final = 64 << 20
#: Bytes that are read or written at once; of what a command says on stderr no more is kept.
_PART: Final = 1 << 16
#: Seconds between two looks whether a command that can be called off was.
_SLICE: Final = 0.2
_USER: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\+-]{0,63}")
_HOST: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}|[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,15})?")
_SPACE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_FORMS: Final = "Write ssh://user@host, user@host, netns:NAME or local."


@dataclass(frozen=True, slots=True)
class Far:
    """Where commands run. host: of ssh, or the namespace's name. port: ssh's, None as configured."""

    kind: Literal["ssh", "netns", "local"]
    host: str = ""
    user: str = ""
    port: int | None = None

    def __str__(self) -> str:
        if self.kind == "local":
            return "local"
        if self.kind == "netns":
            return f"netns:{self.host}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{self.user + '@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"

    def command(self, shell: str) -> list[str]:
        """The words that run one line of shell there."""
        if self.kind == "local":
            return ["sh", "-c", shell]
        if self.kind == "netns":
            return ["ip", "netns", "exec", self.host, "sh", "-c", shell]
        port = ["-p", str(self.port)] if self.port else []
        user = ["-l", self.user] if self.user else []
        # the login shell may be any: sh is asked for by name
        return ["ssh", *OPTIONS, *port, *user, "--", self.host, f"exec sh -c {shlex.quote(shell)}"]


def parse_far(text: str) -> Far:
    """`ssh://[user@]host[:port]`, `[user@]host`, `netns:NAME` or `local`; UsageError for anything else, such as a leading -."""
    if text == "local":
        return Far("local")
    if text.startswith("netns:"):
        return Far("netns", _checked(_SPACE, text.removeprefix("netns:"), text))
    rest = text.removeprefix("ssh://").removesuffix("/")
    user, at, place = rest.rpartition("@")
    if at:
        _checked(_USER, user, text)
    found = re.fullmatch(r"\[([^\]]+)\](?::([0-9]{1,5}))?", place) or re.fullmatch(r"([^:]+)(?::([0-9]{1,5}))?", place)
    if found is None:
        raise UsageError(f"{text} is no DPU", _FORMS)
    port = int(found[2]) if found[2] else None
    if port is not None and not 0 < port < 65536:
        raise UsageError(f"{text} names a port that there can't be", _FORMS)
    return Far("ssh", _checked(_HOST, found[1], text), user, port)


def parse_capture(text: str) -> tuple[Far, str]:
    """`ssh://user@dpu/p0`: where, and the interface there; also `netns:NAME/p0`."""
    place, slash, interface = text.rpartition("/")
    if not slash or place in ("ssh:/", "ssh:"):
        raise UsageError(f"{text} names no interface", "Write ssh://user@dpu/p0.")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,14}", interface):
        raise UsageError(f"{interface!r} is no interface", "Write ssh://user@dpu/p0.")
    return parse_far(place), interface


def as_root(words: Sequence[str]) -> str:
    """A line of shell that runs the words as root: as they are, or by sudo where that asks no password."""
    line = shlex.join(words)
    return f'if [ "$(id -u)" = 0 ]; then exec {line}; else exec sudo -n {line}; fi'


def run(far: Far, words: Sequence[str], *, root: bool = False, seconds: float = 40.0) -> str:
    """Run a command there to its end; its stdout. FarError where it, or the way there, fails or takes longer than that."""
    return run_shell(far, as_root(words) if root else f"exec {shlex.join(words)}", seconds=seconds, what=words[0])


def run_shell(far: Far, shell: str, *, seconds: float = 40.0, what: str = "sh") -> str:
    """The same for a line of shell, whose words are quoted already. what: the program that messages name."""
    command = far.command(shell)
    try:
        process = subprocess.Popen(  # noqa: S603  words of ours, names checked and quoted
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise FarError(f"{command[0]} can't be run: {error.strerror}", f"Install {command[0]}.") from error
    try:
        out, said = talk(process, b"", seconds, MOST)
    except subprocess.TimeoutExpired as error:
        raise FarError(
            f"{what} on {far} took more than {seconds:g} s", "See whether the DPU is busy or its switch hangs."
        ) from error
    finally:
        end(process)
    if len(out) > MOST:
        raise too_much(far, what, MOST)
    if process.returncode:
        raise failure(far, what, process.returncode, said)
    return out.decode("utf-8", "replace")


def talk(
    process: subprocess.Popen[bytes], data: bytes, seconds: float, most: int, cancel: threading.Event | None = None
) -> tuple[bytes, bytes]:
    """Give a command data on its stdin, where it has one, and hear it to its end: its stdout, and the end of its stderr.

    Of what comes without end no more is kept than a little over `most` bytes: then it is not heard any further, and the caller,
    who sees that there are too many, ends it. subprocess.TimeoutExpired after so many seconds, or within a moment of `cancel`.
    """
    out, said = bytearray(), bytearray()
    left = memoryview(data)
    until = time.monotonic() + seconds
    with selectors.DefaultSelector() as waiting:
        for pipe, side in ((process.stdin, selectors.EVENT_WRITE), (process.stdout, selectors.EVENT_READ)):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                waiting.register(pipe, side)
        if process.stderr is not None:
            waiting.register(process.stderr, selectors.EVENT_READ)
        while waiting.get_map() and len(out) <= most:
            left_over = max(until - time.monotonic(), 0)
            ready = waiting.select(left_over if cancel is None else min(left_over, _SLICE))
            if time.monotonic() >= until or (cancel is not None and cancel.is_set()):  # also of one that never stops talking
                raise subprocess.TimeoutExpired(process.args, seconds)
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    try:
                        left = left[os.write(key.fd, left[:_PART]) :] if left else left
                    except BlockingIOError:
                        continue
                    except BrokenPipeError:  # it does not want the rest; why, its answer or its end says
                        left = left[:0]
                    if not left:
                        waiting.unregister(key.fileobj)
                        key.fileobj.close()
                elif part := os.read(key.fd, _PART):
                    (out if key.fileobj is process.stdout else said).extend(part)
                    del said[:-_PART]
                else:
                    waiting.unregister(key.fileobj)
    if len(out) <= most:
        process.wait(max(until - time.monotonic(), 0))
    return bytes(out), bytes(said)


def too_much(far: Far, what: str, most: int) -> FarError:
    """The error for a command that said more than it ever should."""
    return FarError(f"{what} on {far} said more than {most >> 20} MiB, and was not heard any further", "See what runs there.")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a command, with what it started."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def failure(far: Far, what: str, code: int, said: bytes) -> FarError:
    """The error for a command that failed: whether the way there did, or the command, and what to do about it."""
    lines = [line for line in said[-4096:].decode("utf-8", "replace").splitlines() if line.strip()]
    last = lines[-1].strip()[:300] if lines else ""
    if far.kind == "ssh" and code == LOST:
        silent = "ssh ended without a word: the connection broke, or a signal ended the command there"
        return FarError(f"{far}: {last or silent}", _way_remedy("\n".join(lines), far), None, last)
    if code == 127:
        return FarError(f"{what} isn't there on {far}", f"Install it there, or take another host. ({last})", code, last)
    if "sudo:" in last:
        return FarError(f"{far}: {last}", "Let that user run it by sudo without a password, or log in as root.", code, last)
    if code < 0:
        return FarError(f"{what} on {far} was ended by signal {-code}", "Try again.", code, last)
    return FarError(f"{what} on {far} failed (exit code {code}): {last or 'it does not say why'}", "", code, last)


def _way_remedy(said: str, far: Far) -> str:
    """What to do about a connection that failed, by ssh's own words."""
    if "Host key verification failed" in said or "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
        return f"Log in once by hand (ssh {far.host}) and compare the key's fingerprint; host keys are never accepted by us."
    if "Permission denied" in said:
        return "Nothing is asked here: add a key to your agent or ssh configuration, and see that the DPU takes it."
    if "Could not resolve" in said:
        return "Check the name, or add it to your ssh configuration."
    return f"Check it with: ssh -o BatchMode=yes {far.host} true"


def _checked(form: re.Pattern[str], word: str, text: str) -> str:
    if not form.fullmatch(word):
        raise UsageError(f"{text!r} is no DPU", _FORMS)
    return word
