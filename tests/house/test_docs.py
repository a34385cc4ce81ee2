"""The documentation names what is there: paths, stages, commands, targets."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def rooms_of(package: str) -> set[str]:
    folder = ROOT / "packages" / package / "src" / "stepdistill" / package
    return {path.parent.name for path in folder.glob("*/__init__.py")}


def test_the_tree_in_the_readme_names_every_folder() -> None:
    named = set(re.findall(r"^    (packages/\w+|\w+) {2,}", README, re.MULTILINE))
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    packages = {f"packages/{path.name}" for path in (ROOT / "packages").iterdir()}
    tracked = subprocess.run(
        ["git", "ls-files", "--others", "--cached", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    top = {Path(line).parts[0] for line in tracked if len(Path(line).parts) > 1}
    assert named == (folders & top) - {"packages"} | packages


@pytest.mark.parametrize("package", ["annotator", "trainer"])
def test_the_tree_in_the_readme_names_every_room(package: str) -> None:
    tree = README.split(f"    packages/{package} ")[1].partition("\n    p")[0]
    named = set(re.findall(r"^        (\w+) {2,}", tree, re.MULTILINE))
    assert named == rooms_of(package)


def test_the_map_in_the_architecture_is_what_the_files_say() -> None:
    script = ROOT / "scripts" / "write_map.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    files = {path.name for path in ROOT.glob("packages/*/src/**/*.py")} - {"__init__.py"}
    assert {name for name in files if f"`{name}`" not in ARCHITECTURE} == set()


def test_links_in_the_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_make_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert targets == listed


def test_each_init_holds_a_docstring_and_nothing_else() -> None:
    # but the package's own, which has the names for a notebook: see test_names.py
    for path in ROOT.glob("packages/*/src/stepdistill/*/**/__init__.py"):
        assert re.fullmatch(r'"""[^"]+"""\n', path.read_text(encoding="utf-8")), path


def test_every_readme_command_of_annotate_is_one() -> None:
    named = set(re.findall(r"annotate ([a-z-]+)", README))
    annotate = Path(sys.executable).parent / "annotate"
    done = subprocess.run([annotate, "--help"], capture_output=True, text=True, check=True)
    assert {name for name in named if name not in done.stdout} == set()


def test_each_decision_has_a_number_of_its_own_and_says_it() -> None:
    notes = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(note.name[:4]) for note in notes]
    assert numbers == list(range(1, len(notes) + 1))
    for number, note in zip(numbers, notes, strict=True):
        assert note.read_text(encoding="utf-8").startswith(f"# {number}. ")
