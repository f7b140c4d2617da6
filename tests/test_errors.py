import inspect
import pickle

import pytest

from workbench import errors
from workbench.errors import ExitCode, WorkbenchError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, WorkbenchError)]


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_crosses_processes_whole(kind: type[WorkbenchError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what happened", "what to do")))
    assert type(error) is kind
    assert (error.message, error.remedy, str(error)) == ("what happened", "what to do", "what happened")
    assert error.exit_code is kind.exit_code


@pytest.mark.parametrize("kind", [c for c in CLASSES if c is not WorkbenchError])
def test_every_cause_has_a_title_of_its_own_and_only_our_own_fault_is_a_bug(kind: type[WorkbenchError]) -> None:
    assert kind.title not in {other.title for other in CLASSES if other is not kind}
    if kind is errors.InternalError:
        assert kind.exit_code is ExitCode.BUG
    else:
        assert kind.exit_code in (ExitCode.USAGE, ExitCode.BAD_INPUT, ExitCode.EXTERNAL, ExitCode.INTERRUPTED)
    assert kind.__doc__


def test_exit_codes_are_the_promised_numbers() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "NO": 1,
        "USAGE": 2,
        "BAD_INPUT": 3,
        "EXTERNAL": 4,
        "BUG": 5,
        "INTERRUPTED": 130,
    }
