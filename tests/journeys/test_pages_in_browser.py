"""The pages that commands write, and the one that a student is tried on, in a browser: at a desk
and on a phone, light and dark, of rows that are markup, and by axe-core."""

import json
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest

from stepdistill.annotator.dataset.demo import demo_rows
from tests.journeys.browser import DESK, PHONE, Browser, a_browser
from tests.journeys.conftest import Annotate, Done
from tests.journeys.money import with_prices
from tests.journeys.test_distil import SHORT, world
from tests.warm import WarmProcess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EVIL = "<script>document.title = 'taken over'</script></td>\u202e"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as found:
        yield found


@pytest.fixture
def stepdistill(tmp_path: Path, warm_stepdistill: WarmProcess) -> Callable[..., Done]:
    def run(*words: str | Path) -> Done:
        done = warm_stepdistill.start(*words, cwd=tmp_path, env=world(tmp_path)).wait()
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    return run


def evil_rows(path: Path) -> Path:
    """Sixty rows of markup, one as long as a book, and some that nobody can label."""
    rows = [{**row, "problem": f"{EVIL} {row['problem']}"} for row in demo_rows("train", 60)]
    rows[7]["problem"] = "word " * 200_000
    rows[8]["problem"] = "w" * 100_000
    for number, row in enumerate(rows):
        row["id"] = f"{EVIL}{number}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def looks_well(browser: Browser, address: str) -> None:
    for size, dark in product((DESK, PHONE), (False, True)):
        browser.open(address, size, dark=dark)
        assert browser.serious_findings() == [], (address, size, dark)
        assert not browser.scrolls_sideways, (address, size, dark)
        assert "taken over" not in browser.driver.title
        colour = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (min(map(int, re.findall(r"\d+", colour)[:3])) < 60) == dark
    assert browser.complaints == []


def test_pages_of_runs_studies_and_stores(
    browser: Browser, annotate: Annotate, tmp_path: Path
) -> None:
    with_prices(tmp_path)
    data = ("--data", evil_rows(tmp_path / "evil.jsonl"))
    tried = annotate("experiment", "demo", "--teacher", "simulated", *data, "--html", "study.html")
    assert tried.code == 0, tried.err
    assert annotate("run", "demo", "--teacher", "simulated", *data).code == 0
    for target, page in (("runs/demo", "run.html"), ("runs/store", "store.html")):
        done = annotate("report", target, "--html", page)
        assert done.code == 0, done.err
    for name in ("study.html", "run.html", "store.html"):
        looks_well(browser, (tmp_path / name).as_uri())

    browser.open((tmp_path / "run.html").as_uri())
    assert "have a record" in browser.text("p.happened")
    assert "annotate view runs/demo" in browser.text("pre")
    assert "<script>" in browser.text("details[open] td")
    browser.open((tmp_path / "study.html").as_uri())
    assert "leads" in browser.text("p.happened")
    assert any("Rows that it got wrong" in text for text in browser.texts("summary"))


def test_pages_of_a_student(
    browser: Browser, stepdistill: Callable[..., Done], tmp_path: Path
) -> None:
    lines = ["message,team", *(f"Message {n} of {EVIL},team {n % 3}" for n in range(90))]
    (tmp_path / "notes.csv").write_text("\n".join(lines))
    words = ("--label", "team", "--teacher", "simulated", "--yes", *SHORT)
    done = stepdistill("distil", "notes.csv", "--out", "runs/notes", *words)
    assert done.code == 0, done.err
    written = sorted((tmp_path / "runs" / "notes").glob("*.html"))
    assert len(written) == 2  # the templates' and the whole way's
    model, shards = "runs/notes/student/model", next(tmp_path.rglob("test/manifest.json")).parent
    done = stepdistill("evaluate", model, shards, "--html", "student.html")
    assert done.code == 0, done.err
    for page in (*written, tmp_path / "student.html"):
        looks_well(browser, page.as_uri())
    assert browser.texts("svg") and "The student is right on" in browser.text("p.happened")
