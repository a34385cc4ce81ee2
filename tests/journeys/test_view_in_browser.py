"""The page of `annotate view` in a browser: filters, rows, keys, search; by mouse and without one,
at a desk and on a phone, light and dark."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import pytest

from tests.journeys.browser import DESK, ENTER, ESCAPE, PHONE, Browser, a_browser
from tests.journeys.conftest import Annotate
from tests.journeys.viewing import HOSTILE, ODD_LABEL, Viewing, hostile_run, viewings


class Page(NamedTuple):
    """A page in a browser, and the command behind it."""

    browser: Browser
    viewing: Viewing


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with a_browser() as found:
        yield found


@pytest.fixture
def page(browser: Browser, annotate: Annotate, tmp_path: Path) -> Iterator[Page]:
    """A run of 120 rows, asked of one template; the first 40 of another, too."""
    asked = ("run", "demo", "--teacher", "simulated", "--samples")
    annotate(*asked, "40", "--template", "reason-first", "--out", "other")
    annotate(*asked, "120", "--template", "label-first")
    with viewings(tmp_path) as start:
        viewing = start("runs/demo")
        viewing.whole()
        yield Page(browser, viewing)
        assert browser.complaints == []
        browser.driver.get("about:blank")  # or it would ask on when nobody answers any more


def rows(browser: Browser) -> list[str]:
    return browser.texts("#list a")


def opened(page: Page, more: str = "", size: tuple[int, int] = DESK, *, dark: bool = False) -> None:
    page.browser.open(page.viewing.address + more, size, dark=dark)
    page.browser.until(lambda: page.browser.all("#list a, #row h2"), "the page is there")


def choose(browser: Browser, facet: str, word: str) -> None:
    box = f"""[...document.querySelectorAll("#facets input")].find(
        (each) => each.dataset.key === {json.dumps(f"{facet} {word}")})"""
    browser.until(lambda: browser.run(f"return {box}"), f"{facet} {word} can be chosen")
    # By script: while the index grows, an element may be another one by the time of a click.
    browser.run(f"{box}.click()")


def test_filter_open_step_search_and_share(page: Page) -> None:
    browser = page.browser
    opened(page)
    assert browser.text("#found") == "120 rows"
    choose(browser, "disagrees", "teacher / gold")
    wrong = page.viewing.get("/api/rows?disagrees=teacher+/+gold")["n"]
    browser.until(lambda: browser.text("#found") == f"{wrong} rows", "only wrong rows")
    browser.press("j", "j", ENTER)
    browser.until(lambda: browser.all("#row-title"), "the second row is open")
    second = browser.text("#row-title")
    assert second in rows(browser)[1]
    browser.press("k")
    browser.until(lambda: browser.text("#row-title") != second, "the first row is open")
    assert browser.text("mark.is-label")
    shared = browser.driver.current_url
    assert "disagrees=" in shared and "row=" in shared
    browser.press(ESCAPE)
    browser.until(lambda: not browser.all("#row"), "the row is closed")
    browser.press("x", "/", *"train-77", ENTER)
    browser.until(lambda: browser.text("#found") == "1 row", "one row is found")
    browser.open(shared)
    browser.until(lambda: browser.text("#found") == f"{wrong} rows", "the link shows the same")
    browser.until(lambda: browser.all("#row-title"), "and the same row")


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_nothing_serious_is_found_and_nothing_scrolls_sideways(
    page: Page, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    browser = page.browser
    for more in ("", "&label=addition", "&row=5", "&q=nowhere+to+be+found", "&row=99999"):
        browser.open(page.viewing.address + more, size, dark=dark)
        browser.until(lambda: browser.text("#found, #row h2"), "the page is there")
        assert browser.serious_findings() == [], more
        assert not browser.scrolls_sideways, more
        browser.picture(tmp_path / "page.png")
    browser.press("?")
    browser.until(lambda: browser.all("dialog"), "the keys are shown")
    assert browser.serious_findings() == []
    browser.press(ESCAPE)
    assert [line for line in browser.complaints if "99999" not in line] == []


@pytest.mark.slow
def test_a_phone_shows_the_list_or_the_row(page: Page) -> None:
    browser = page.browser
    opened(page, size=PHONE)
    assert not browser.all("#facets")
    browser.all("#filter-box summary")[0].click()
    choose(browser, "label", "addition")
    browser.until(lambda: browser.text("#found") != "120 rows", "fewer rows")
    browser.all("#list a")[0].click()
    browser.until(lambda: browser.all("#row-title"), "the row is open")
    assert not browser.all("#list a")
    (close,) = [each for each in browser.all("#row .tools button") if "Close" in each.text]
    close.click()
    browser.until(lambda: browser.all("#list a"), "the list is back")


@pytest.mark.slow
def test_keys_lead_over_the_end_of_a_page(page: Page) -> None:
    browser = page.browser
    opened(page)
    browser.press(*"j" * 51)
    browser.until(lambda: browser.text("#place") == "51 to 100 of 120", "the second page")
    focused = "return document.activeElement.dataset.n"
    browser.until(lambda: browser.run(focused) == "50", "its first row is in focus")
    browser.press("k")
    browser.until(lambda: browser.text("#place") == "1 to 50 of 120", "the first page")
    browser.until(lambda: browser.run(focused) == "49", "its last row is in focus")
    browser.press(ENTER)
    browser.until(lambda: browser.all("#row-title"), "it is open")
    browser.press(ESCAPE)
    browser.until(lambda: browser.run(focused) == "49", "the focus is where it was")


@pytest.mark.slow
def test_what_another_template_got_is_unfolded(page: Page) -> None:
    browser = page.browser
    opened(page, "&row=3")
    browser.until(lambda: browser.all("details.fold summary"), "another template's answer")
    (other,) = browser.all("details.fold summary")
    assert other.text.startswith("reason-first: ")
    other.click()
    browser.until(lambda: len(browser.all("details.fold mark.is-label")) >= 1, "it is marked")
    assert "What was asked" in browser.text("details.fold")


@pytest.mark.slow
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_a_hostile_run_is_text(
    browser: Browser, annotate: Annotate, tmp_path: Path, size: tuple[int, int]
) -> None:
    hostile_run(annotate, tmp_path)
    with viewings(tmp_path) as start:
        viewing = start("runs/mood")
        viewing.whole()
        page = Page(browser, viewing)
        opened(page, size=size)
        assert len(rows(browser)) == len(HOSTILE) + 1
        assert HOSTILE[0] in rows(browser)[0]
        assert "\\u202egnirts" in rows(browser)[2]
        right = viewing.get("/api/rows?" + urlencode({"label": ODD_LABEL}))["n"]
        assert right
        if right <= len(HOSTILE):  # a facet of one word is no choice
            choose(browser, "label", ODD_LABEL)
            browser.until(lambda: f"{right} row" in browser.text("#found"), "its rows are chosen")
        for n in range(len(HOSTILE) + 1):
            opened(page, f"&row={n}", size)
            browser.until(lambda: browser.all("#row pre"), "the row is there")
            assert browser.driver.title.startswith("runs/mood")
            assert not browser.scrolls_sideways
            assert browser.run("return document.querySelectorAll('img, #row script').length") == 0
        (whole,) = [each for each in browser.all("#row button") if "1,048,576" in each.text][:1]
        whole.click()
        browser.until(
            lambda: "1,048,576" not in browser.text("#row dl, #row .text + button"), "all"
        )
        assert browser.complaints == []
        browser.driver.get("about:blank")


@pytest.mark.slow
def test_a_page_whose_command_has_ended_says_so(page: Page) -> None:
    browser = page.browser
    opened(page)
    page.viewing.end()
    choose(browser, "label", "addition")
    browser.until(lambda: "still running" in browser.text("#progress"), "it is said")
    assert all("ERR_CONNECTION_REFUSED" in each for each in browser.complaints)
