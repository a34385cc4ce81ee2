"""The page at the end: every step, its command and its sentences, and nobody's markup."""

from pathlib import Path
from typing import Any

from stepdistill.trainer.distil.page import StepReport, write_page
from stepdistill.trainer.distil.steps import Steps
from stepdistill.trainer.settings.distil import DistilSettings

SCORE: dict[str, Any] = {"accuracy": 0.5, "interval": [0.4, 0.6], "right": 30, "n": 60}
CLASS = {"n": 30, "named": 29, "precision": 0.9, "recall": 0.8, "f1": 0.85}


def test_the_page_shows_every_step_and_obeys_nobody(tmp_path: Path) -> None:
    settings = DistilSettings(
        file=Path("a b.csv"), teacher="simulated", student="micro", out=tmp_path / "mood"
    )
    steps = Steps(settings)
    new = StepReport(step=steps.new(), remark="", seconds=200, lines=["Label: <b>mood</b>"])
    left_out = StepReport(step=steps.experiment(), remark="left out", lines=["Too few rows."])
    found = {
        "student": {**SCORE, "classes": {"<i>joy</i>": CLASS}},
        "teacher": SCORE,
        "majority": SCORE,
        "used": steps.used(None),
        "labelled_by": "simulated",
    }
    write_page(steps.layout, settings, [new, left_out], found)
    page = (tmp_path / "mood" / "index.html").read_text()
    assert "annotate new mood &#39;a b.csv&#39;" in page
    assert "Label: &lt;b&gt;mood&lt;/b&gt;" in page and "&lt;i&gt;joy&lt;/i&gt;" in page
    assert "2. experiment: the templates against each other (left out)" in page
    assert "annotate experiment" not in page
    assert "this is a rehearsal" in page
    assert "always the commonest label" in page and "30 of 60" in page
    assert "<script" not in page


def test_a_command_is_shown_in_lines_that_a_terminal_holds(tmp_path: Path) -> None:
    settings = DistilSettings(
        file=Path("a.csv"), teacher="m", student="micro", out=Path("runs/mood"), label=("a b",)
    )
    step = Steps(settings).new()
    shown = step.shown.splitlines()
    assert len(shown) > 1 and max(map(len, shown)) < 80
    assert all(line.endswith(" \\") for line in shown[:-1])
    assert "--label 'a b'" in step.shown
