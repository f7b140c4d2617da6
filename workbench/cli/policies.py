"""The group `workbench policy` with the commands that have files of their own."""

from __future__ import annotations

from workbench.cli import policy_compile, policy_import, policy_suggest, policy_test
from workbench.cli.policy import app

app.command("suggest")(policy_suggest.suggest)
app.command("test")(policy_test.run_tests)
app.command("import")(policy_import.import_)
app.command("compile")(policy_compile.compile_)
