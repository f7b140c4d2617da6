"""One class per cause of failure: what happened, why, and what to do about it.

Every error that a person can meet is a `WorkbenchError`. The CLI prints it to stderr as
``title: message`` followed by the remedy and exits with `exit_code`; the app shows the same three
parts in a modal. Anything else that escapes is a bug (exit code 5).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Process exit codes; stable, scripts rely on them (docs/cli.md)."""

    OK = 0
    NO = 1
    USAGE = 2
    BAD_INPUT = 3
    EXTERNAL = 4
    BUG = 5
    INTERRUPTED = 130


class WorkbenchError(Exception):
    """Base of every expected failure.

    message: what happened and where, in one sentence. remedy: what the person can do about it.
    """

    title = "Error"
    exit_code = ExitCode.BUG

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy)


class UsageError(WorkbenchError):
    """The command or a value in it is wrong."""

    title = "Wrong usage"
    exit_code = ExitCode.USAGE


class MissingPathError(UsageError):
    """A path that was named does not exist or cannot be read."""

    title = "No such path"


class SettingsError(UsageError):
    """The settings file has an unknown key or a value of the wrong kind."""

    title = "Wrong setting"


class QueryError(UsageError):
    """A query is not one SELECT or EXPLAIN, or the engine refuses it.

    at: the stretch of the query that the engine points at, beginning with what is wrong; '' where it points at nothing.
    """

    title = "Wrong query"

    def __init__(self, message: str, remedy: str = "", at: str = "") -> None:
        super().__init__(message, remedy)
        self.at = at

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.at)


class FilterError(UsageError):
    """A filter that means nothing: where in it, and what was probably meant.

    position: where the wrong part begins, counted from 0 (messages say columns, from 1). length: how long it is; 0 at
    the end of the text. near: what to write instead, where something is close.
    """

    title = "Wrong filter"

    def __init__(self, message: str, remedy: str = "", *, position: int = 0, length: int = 0, near: str | None = None) -> None:
        super().__init__(message, remedy)
        self.position = position
        self.length = length
        self.near = near

    def __reduce__(self) -> tuple[Any, ...]:
        return _remake_filter_error, (self.message, self.remedy, self.position, self.length, self.near)


def _remake_filter_error(message: str, remedy: str, position: int, length: int, near: str | None) -> FilterError:
    return FilterError(message, remedy, position=position, length=length, near=near)


class BpfError(UsageError):
    """A capture filter that libpcap does not take, for any link type or for the one at hand."""

    title = "Wrong capture filter"


class NotACaseError(UsageError):
    """The folder is not a case, or holds none yet."""

    title = "Not a case"


class BadInputError(WorkbenchError):
    """Input data that cannot be used: not a capture, an invalid version, nothing in it."""

    title = "Bad input"
    exit_code = ExitCode.BAD_INPUT


class SourceError(BadInputError):
    """Reading a source failed part of the way: damaged compression, an I/O error, a cut tail."""

    title = "Source damaged"


class CaptureChangedError(BadInputError):
    """A capture is not any more what was indexed."""

    title = "Capture has changed"


class ForeignCaseError(BadInputError):
    """A case whose catalogue is not the one we write: shadowed views, macros, a newer schema."""

    title = "Case not trusted"


class PolicyError(BadInputError):
    """A policy says what it cannot mean.

    problems: every mistake, with its file, line and key; the message has them a line each.
    """

    title = "Wrong policy"

    def __init__(self, message: str, remedy: str = "", problems: tuple[Any, ...] = ()) -> None:
        super().__init__(message, remedy)
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.problems)


class AuditError(BadInputError):
    """The audit log does not verify."""

    title = "Audit log broken"


class ExternalError(WorkbenchError):
    """Something outside the program is missing or said no."""

    title = "External failure"
    exit_code = ExitCode.EXTERNAL


class CaseBusyError(ExternalError):
    """Another process holds the ingest lock of the case."""

    title = "Case is being written"


class PortError(ExternalError):
    """A port to listen on cannot be had."""

    title = "Port not available"


class FarError(ExternalError):
    """A command on a DPU failed: no way there, or the command said no.

    code: the exit code of the command there; None where the way there is what failed. said: its last lines on stderr.
    """

    title = "DPU says no"

    def __init__(self, message: str, remedy: str = "", code: int | None = None, said: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code
        self.said = said

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.code, self.said)


class PushRefusedError(ExternalError):
    """The resident on a DPU does not do what was asked.

    code: its word for why, one per cause (docs/push.md).
    """

    title = "DPU refuses"

    def __init__(self, message: str, remedy: str = "", code: str = "") -> None:
        super().__init__(message, remedy)
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.code)


class PlanError(BadInputError):
    """A plan of a push cannot be used: damaged, not signed as it must be, or not proven."""

    title = "Plan not usable"


class NotAsMeantError(PlanError):
    """What a DPU runs was found to be something else than was meant: what was read back, or a probe, showed it.

    digest: of the push, which nobody should confirm; '' where members were sent.
    """

    title = "Not what was meant"

    def __init__(self, message: str, remedy: str = "", digest: str = "") -> None:
        super().__init__(message, remedy)
        self.digest = digest

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.remedy, self.digest)


class NeedsReasonError(PlanError):
    """A push that a person may want all the same, and then says why: it cuts a way in, or leaves contested addresses out."""

    title = "Needs a reason"


class CapturePermissionError(ExternalError):
    """This user may not capture on the interface."""

    title = "Not allowed to capture"


class CaptureGoneError(ExternalError):
    """A capture that was indexed is not where it was, or was never a file that can be read again."""

    title = "Capture is not there"


class DiskFullError(ExternalError):
    """No space left; what was already indexed is kept."""

    title = "Disk full"


class InternalError(WorkbenchError):
    """A fault of the program itself; the remedy holds where it happened."""

    title = "Fault in the program"
    exit_code = ExitCode.BUG


class CancelledError(WorkbenchError):
    """The person cancelled; the case holds what was indexed until then."""

    title = "Cancelled"
    exit_code = ExitCode.INTERRUPTED
