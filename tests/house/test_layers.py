"""The annotator lives without torch, and fast enough to be asked for help."""

import subprocess
import sys
from importlib import import_module

import pytest
from cyclopts import App

from stepdistill.annotator.cli import COMMANDS

FORBIDDEN = ("torch", "transformers", "deepspeed", "datasets", "pyarrow")


def test_no_command_of_the_annotator_loads_torch_or_other_heavy_parts() -> None:
    load = "from stepdistill.annotator.cli import *; [make_app(name) for name in COMMANDS]"
    code = f"import sys; {load}; print([m for m in {FORBIDDEN} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_list_of_commands_loads_none_of_them() -> None:
    code = (
        "import sys; from stepdistill.annotator.cli import make_app; make_app(None); "
        "print([name for name in sys.modules if name.startswith('stepdistill.annotator.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['stepdistill.annotator.cli']"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_what_its_own_help_says(name: str) -> None:
    place, line = COMMANDS[name]
    module, _, attribute = place.partition(":")
    command = getattr(import_module(module), attribute)
    said = command.help if isinstance(command, App) else command.__doc__
    assert isinstance(said, str)
    assert said.strip().splitlines()[0] == line
