"""What `serve` says before there is a server."""

import pytest

from workbench.cli.serve import serve
from workbench.workflows.requests import ServeRequest


@pytest.mark.parametrize(("port", "said"), [(9000, "9000"), (0, "PORT")])
def test_the_way_in_from_another_machine_has_the_port_where_it_is_known(capsys, port, said):
    assert serve([], None, port) == ServeRequest((), port)
    assert f"ssh -L 8474:127.0.0.1:{said} HOST" in capsys.readouterr().err
