"""The page on which rows are judged, in a browser: 20 rows by keys, undo, a reload, the result."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.browser import DESK, ESCAPE, PHONE, Browser, a_browser
from tests.journeys.conftest import Annotate
from tests.journeys.viewing import HOSTILE, View, hostile_run, viewings

WORDS = ("--human", "20", "--judge", "--name", "ann")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with a_browser() as found:
        yield found


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    """Starts commands that serve a page; every one is ended."""
    with viewings(tmp_path) as start:
        yield start


def lines_of(folder: Path) -> list[dict[str, str]]:
    text = (folder / "runs" / "demo" / "judgements.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def title(browser: Browser) -> str:
    """Asked in one go: the page puts other elements in the place of these."""
    return browser.run("return document.querySelector('#judge h2')?.innerText ?? ''")


def at_row(browser: Browser, number: int) -> None:
    browser.until(lambda: title(browser).startswith(f"Row {number} of"), f"row {number}")


def test_judge_twenty_undo_reload_and_see_the_result(
    browser: Browser, annotate: Annotate, view: View, tmp_path: Path
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "120")
    viewing = view("runs/demo", *WORDS, command="audit")
    browser.open(viewing.address)
    at_row(browser, 1)
    assert "gold" not in browser.text("#judge").lower()
    browser.press("r")
    at_row(browser, 2)
    browser.press("g", "w")
    browser.until(lambda: "Which label" in browser.text(".verdicts"), "it is asked which")
    right = browser.all(".which button")[1].text.split()[0]
    browser.press("2")
    at_row(browser, 3)
    assert browser.text("#progress") == "2 of 20 judged by ann"
    said = lines_of(tmp_path)
    assert [each["verdict"] for each in said] == ["right", "wrong"]
    assert said[1]["right"] == right and said[1]["reasons"] == "good"
    browser.press("u")
    at_row(browser, 2)
    assert browser.text("#progress") == "1 of 20 judged by ann · row 2 is open again"
    browser.press("c")
    at_row(browser, 3)
    browser.driver.refresh()
    at_row(browser, 3)
    assert browser.text("#progress") == "2 of 20 judged by ann"
    for number in range(3, 21):
        at_row(browser, number)
        browser.press("b" if number % 2 else "g", "r")
    browser.until(lambda: title(browser) == "All rows are judged", "the result")
    assert "100.0 %" in browser.text("table") and "1 that nobody could tell" in browser.text("main")
    result = annotate("audit", "runs/demo", "--human", "20", "--json").json
    assert (result["judged"], result["cannot_tell"]) == (20, 1)
    assert result["rationales_good"]["judged"] == 18
    code, shown = viewing.end()
    assert code == 0 and "20 of 20 chosen rows judged (ann 20)" in shown
    assert browser.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_serious_is_found_and_nothing_scrolls_sideways(
    browser: Browser,
    annotate: Annotate,
    view: View,
    tmp_path: Path,
    size: tuple[int, int],
    dark: bool,
) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "60")
    viewing = view("runs/demo", *WORDS, command="audit")
    browser.open(viewing.address, size, dark=dark)
    at_row(browser, 1)

    def look(name: str) -> None:
        assert browser.serious_findings() == [], name
        assert not browser.scrolls_sideways, name
        browser.picture(tmp_path / f"{name}.png")

    look("row")
    browser.press("w")
    browser.until(lambda: "Which label" in browser.text(".verdicts"), "it is asked which")
    look("which")
    browser.press("1")
    at_row(browser, 2)
    browser.press("r")
    at_row(browser, 3)
    browser.press("e")
    browser.until(lambda: title(browser) == "The result so far", "the result")
    look("result")
    browser.press("?")
    browser.until(lambda: browser.all("dialog"), "the keys are shown")
    look("keys")
    browser.press(ESCAPE)
    assert browser.complaints == []


@pytest.mark.slow
def test_by_mouse_alone(browser: Browser, annotate: Annotate, view: View, tmp_path: Path) -> None:
    annotate("run", "demo", "--teacher", "simulated", "--samples", "60")
    viewing = view("runs/demo", *WORDS, command="audit")
    browser.open(viewing.address, PHONE)
    for number, words in enumerate((("Good", "Right"), ("Wrong", "Back", "Right"), ("Cannot",)), 1):
        at_row(browser, number)
        for word in words:
            (button,) = [each for each in browser.all(".verdicts button") if word in each.text]
            button.click()
    at_row(browser, 4)
    assert [each["verdict"] for each in lines_of(tmp_path)] == ["right", "right", "cannot_tell"]


@pytest.mark.slow
def test_a_hostile_run_is_text(
    browser: Browser, annotate: Annotate, view: View, tmp_path: Path
) -> None:
    hostile_run(annotate, tmp_path)
    viewing = view("runs/mood", "--judge", "--name", HOSTILE[0], command="audit")
    browser.open(viewing.address)
    for number in range(1, len(HOSTILE) + 2):
        at_row(browser, number)
        browser.press("r")
    browser.until(lambda: title(browser) == "All rows are judged", "the result")
    assert browser.run("return document.title") != "owned"
    assert not browser.scrolls_sideways
    assert browser.complaints == []
