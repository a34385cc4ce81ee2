"""Options read off settings classes, a settings file, and errors in one line."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

import pytest

from stepdistill.common.command_line import (
    FILE_OR_SCREEN,
    NAMES,
    PATH_OR_NAME,
    Settings,
    add_command,
    as_options,
    at_least,
    call,
    exit_code_of,
    make_app,
    option_group,
    read_by,
    taken_from,
)
from stepdistill.common.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
@option_group("Rows", 1)
class RowSettings(Settings):
    """Which rows."""

    data: Annotated[str | None, PATH_OR_NAME] = None
    """A folder, or a name."""
    samples: Annotated[int | None, at_least(1)] = None
    """Only the first N rows."""


@as_options
@dataclass(frozen=True)
@option_group("Everything", 2)
class AllSettings(RowSettings):
    """All of them."""

    task: str
    """A folder of tasks."""
    _: KW_ONLY
    splits: Annotated[tuple[str, ...], NAMES] = ("train",)
    """With commas."""
    rate: Annotated[float, read_by(lambda text: float(text) / 100)] = 0.25
    """In percent."""
    store: Path = Path("runs/store")
    """Where answers are."""
    csv: Annotated[str | None, FILE_OR_SCREEN] = None
    """A file; - is the screen."""
    quiet: bool = False
    """No words."""
    config: Path | None = None
    """A settings file."""


def read(*words: str) -> AllSettings:
    app = make_app("tool", "About it.", "1.2")

    def work(settings: AllSettings) -> AllSettings:
        """Do it.

        Example:

            tool work demo
        """
        return settings

    add_command(app, work, "work")
    return call(app, ("work", *words))


def test_a_default_is_the_fields_own() -> None:
    assert read("demo") == AllSettings("demo")


def test_options_of_base_classes_arguments_names_and_words_are_read() -> None:
    words = ("--splits", "a,b", "demo", "--samples=3", "--splits", "b,c", "--rate", "50", "--csv=-")
    expected = AllSettings("demo", samples=3, splits=("a", "b", "c"), rate=0.5, csv="-")
    assert read(*words) == expected


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("demo", "--sample", "3"), "--sample. Did you mean --samples?"),
        (("demo", "--samples", "0"), "--samples. Must be >= 1"),
        (("demo", "--samples", "many"), '--samples: unable to convert "many" into int'),
        (("demo", "--csv", "--quiet"), "--quiet is an option: name a file"),
        ((), "TASK is missing; see tool work --help"),
        (("demo", "more"), "unexpected argument more; see tool work --help"),
        (("demo", "--no-quiet"), "--no-quiet"),
    ],
)
def test_what_is_wrong_is_one_line_with_what_may_have_been_meant(
    words: tuple[str, ...], text: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(*words)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_settings_file_holds_any_option_and_the_command_line_goes_before_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "rows").mkdir()
    file = tmp_path / "all.yaml"
    file.write_text(
        "task: demo\nsamples: 5\nsplits: [a, b]\nstore: answers\ndata: rows\nquiet: true\n"
    )
    found = read("--config", str(file), "--samples", "7")
    assert (found.task, found.samples, found.splits, found.quiet) == ("demo", 7, ("a", "b"), True)
    assert found.store == tmp_path / "answers", "a path is relative to the file's folder"
    assert found.data == str(tmp_path / "rows")
    file.write_text("task: demo\ndata: hub:name\n")
    assert read(f"--config={file}").data == "hub:name", "no such path: it is a name"


@pytest.mark.parametrize("text", ["sampels: 3\n", "- 3\n", "task: [\n", "samples: 0\ntask: demo\n"])
def test_a_wrong_settings_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "all.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read("demo", "--config", str(tmp_path / "all.yaml"))
    assert "\n" not in str(caught.value)


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read("demo", "--config", str(tmp_path / "none.yaml"))


def test_help_shows_groups_defaults_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    read("--help")
    text = capsys.readouterr().out
    assert "Only the first N rows." in text
    assert "[default: train]" in text
    assert text.index("Rows") < text.index("Everything") < text.index("tool work demo")
    assert "False" not in text


def test_the_version_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    app = make_app("tool", "About it.", "1.2")
    assert exit_code_of(app, ["--version"]) == 0
    assert capsys.readouterr().out == "1.2\n"
    assert exit_code_of(app, ["nothing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_settings_of_another_class_take_what_both_have() -> None:
    rows = taken_from(AllSettings("demo", samples=3), RowSettings, data="other")
    assert rows == RowSettings(samples=3, data="other")
