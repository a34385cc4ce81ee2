"""YAML that nobody would write is refused in a line, at once; what people write is read."""

from pathlib import Path

import pytest
from pydantic import BaseModel, JsonValue

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.common.errors import PromptError


class Anything(BaseModel):
    options: JsonValue


def laughs(levels: int, first: str = "lol", *, merged: bool = False) -> str:
    lines = [f"a0: &a0 {{x: {first}}}"]
    for n in range(1, levels + 1):
        nine = ", ".join([f"*a{n - 1}"] * 9)
        lines.append(f"a{n}: &a{n} {{<<: [{nine}]}}" if merged else f"a{n}: &a{n} {{x: [{nine}]}}")
    return "\n".join([*lines, f"options: *a{levels}"])


def written(folder: Path, text: str) -> Path:
    path = folder / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(PromptError) as refused:
        read_yaml(path, Anything)
    message = str(refused.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 300
    return message


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("levels", [9, 40])
def test_aliases_of_aliases_are_refused_before_they_grow(
    tmp_path: Path, levels: int, merged: bool
) -> None:
    assert "over 300,000 values" in refusal(tmp_path, laughs(levels, merged=merged))


def test_a_circle_of_aliases_is_refused(tmp_path: Path) -> None:
    assert "an alias of what it stands in" in refusal(tmp_path, "options: &a [1, *a]")


@pytest.mark.parametrize("deep", ["[" * 3000, "{a: " * 3000, "[" * 150 + "]" * 150, "- " * 3000])
def test_what_is_nested_beyond_sense_is_refused(tmp_path: Path, deep: str) -> None:
    refusal(tmp_path, f"options: {deep}" if deep[0] != "-" else f"options:\n{deep}x")


@pytest.mark.parametrize("number", [10**23, -(2**63) - 1, 2**64, int("9" * 4000)])
def test_an_integer_that_no_request_can_hold_is_refused_with_its_place(
    tmp_path: Path, number: int
) -> None:
    text = f"options:\n  seed: 1\n  x: {number}\n"
    assert "line 3, column 6: an integer beyond 64 bits" in refusal(tmp_path, text)


def test_a_file_beyond_sense_is_not_read(tmp_path: Path) -> None:
    assert "over 4 MB" in refusal(tmp_path, "options: " + "x" * (1 << 22))


def test_what_people_write_is_read(tmp_path: Path) -> None:
    text = "base: &base {a: 1, b: [2.5, yes, ~]}\noptions: {one: *base, two: {<<: *base, a: -9}}\n"
    base = {"a": 1, "b": [2.5, True, None]}
    expected = {"one": base, "two": {**base, "a": -9}}
    assert read_yaml(written(tmp_path, text), Anything).options == expected
    largest = f"options: [{2**64 - 1}, {-(2**63)}, '{10**30}']"
    assert read_yaml(written(tmp_path, "\ufeff" + largest), Anything).options == [
        2**64 - 1,
        -(2**63),
        str(10**30),
    ]
