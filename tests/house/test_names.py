"""`from stepdistill import ...`: one package of three distributions, quick to import."""

import subprocess
import sys
from pathlib import Path

import stepdistill

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [ROOT / "packages" / name / "src" for name in ("common", "annotator", "trainer")]
HEAVY = ("torch", "transformers", "datasets", "pandas", "pydantic", "orjson", "cyclopts", "rich")


def python(code: str, *path: Path) -> str:
    """What a Python prints whose `stepdistill` is that of these folders alone."""
    found = [str(folder) for folder in path]
    alone = f"import sys; ours = {list(map(str, SOURCES))}; "
    alone += f"sys.path[:] = [*{found}, *(each for each in sys.path if each not in ours)]\n"
    command = [sys.executable, "-c", f"{alone}{code}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_file_with_the_names_is_the_same_in_each_source() -> None:
    files = {(source / "stepdistill" / "__init__.py").read_bytes() for source in SOURCES}
    assert len(files) == 1


def test_every_name_is_there() -> None:
    assert sorted(stepdistill.__all__) == sorted(set(dir(stepdistill)) & set(stepdistill.__all__))
    assert all(callable(getattr(stepdistill, name)) for name in stepdistill.__all__)


def test_the_import_loads_nothing_and_the_annotators_names_no_torch() -> None:
    code = f"import sys, stepdistill; print([each for each in {HEAVY} if each in sys.modules])"
    assert python(code, *SOURCES) == "[]"
    names = "from stepdistill import Task, annotate, estimate, experiment; import sys; "
    assert python(f"{names}print('torch' in sys.modules)", *SOURCES) == "False"


def test_whichever_folder_comes_first_all_are_found() -> None:
    code = "import stepdistill.common, stepdistill.annotator, stepdistill.trainer; print('yes')"
    for source in SOURCES:
        assert python(code, source, *SOURCES) == "yes"


def test_without_the_other_half_one_line_says_what_to_install() -> None:
    common, annotator, trainer = SOURCES
    told = "\ntry:\n    from stepdistill import {}\nexcept ImportError as error:\n    print(error)"
    line = python(told.format("Student"), common, annotator)
    assert line == "stepdistill.Student needs the trainer: pip install stepdistill-trainer"
    line = python(told.format("annotate"), common, trainer)
    assert line == "stepdistill.annotate needs the annotator: pip install stepdistill-annotator"
    line = python(told.format("nonsense"), common, trainer)
    assert "cannot import name 'nonsense'" in line
