"""An option is said once: on the field of a settings class, and nowhere a second time."""

import ast
import dataclasses
import inspect
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from cyclopts import App

from stepdistill.annotator.cli import COMMANDS
from stepdistill.common.command_line import Settings
from stepdistill.trainer.commands import COMMANDS as TRAINER_COMMANDS

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = [
    *ROOT.glob("packages/*/src/stepdistill/*/settings/*.py"),
    *ROOT.glob("packages/annotator/src/stepdistill/annotator/commands/*.py"),
    ROOT / "packages/common/src/stepdistill/common/command_line.py",
]
ALL = [*COMMANDS, *(f"stepdistill {name}" for name in TRAINER_COMMANDS)]
NOTHING = (None, False, (), "")


def functions_of(name: str) -> Iterator[inspect.Signature]:
    program, _, of_trainer = name.rpartition(" ")
    if program:
        command = TRAINER_COMMANDS[of_trainer]
    else:
        module, _, attribute = COMMANDS[name][0].partition(":")
        command = getattr(import_module(module), attribute)
    apps = [command[each] for each in command if each[0] != "-"] if isinstance(command, App) else []
    for function in [app.default_command for app in apps] or [command]:
        assert function is not None
        yield inspect.signature(function)


@pytest.mark.parametrize("name", ALL)
def test_a_command_takes_settings_and_nothing_else(name: str) -> None:
    for signature in functions_of(name):
        for parameter in signature.parameters.values():
            kind = parameter.annotation
            assert issubclass(kind, Settings), f"{name}: {parameter}"
            if parameter.default is not inspect.Parameter.empty:
                assert parameter.default == kind(), "its default is the class's own"


@pytest.mark.parametrize("name", ALL)
def test_every_option_says_what_it_is_for(name: str) -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in SETTINGS}
    documented = {field for text in sources.values() for field in documented_fields(text)}
    for signature in functions_of(name):
        for parameter in signature.parameters.values():
            for field in dataclasses.fields(parameter.annotation):
                nested = isinstance(field.type, type) and issubclass(field.type, Settings)
                assert nested or field.name in documented, field.name


def documented_fields(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            for field, below in zip(node.body, node.body[1:], strict=False):
                is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                if isinstance(field, ast.AnnAssign) and is_text:
                    yield ast.unparse(field.target)


def test_no_default_is_typed_twice() -> None:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in SETTINGS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            for field in node.body:
                value = field.value if isinstance(field, ast.AnnAssign) else None
                if isinstance(value, ast.Constant) and value.value not in NOTHING:
                    assert isinstance(field, ast.AnnAssign)
                    option = (ast.unparse(field.target), repr(value.value))
                    places[option].append(f"{path.name}: {node.name}")
    assert {option: found for option, found in places.items() if len(found) > 1} == {}
