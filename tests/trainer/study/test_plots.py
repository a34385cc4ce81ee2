"""`stepdistill plots`: which figures come of which runs, and what their captions say."""

import re
from html import unescape
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from stepdistill.trainer.main import main
from stepdistill.trainer.study.frame import frame_of
from stepdistill.trainer.study.run_pictures import (
    KINDS,
    by_rate,
    by_size,
    by_subsample,
    by_words,
    pictures,
)
from stepdistill.trainer.study.tracking import Run, Tracking
from tests.trainer.study.made_runs import made
from tests.trainer.study.test_track import MIXES, REAL, real_data


def _distilled(**changes: object) -> Run:
    known = {"mode": "step-by-step", "teacher": "gpt-6-luna", "templates": "t1"}
    return made(**{**known, "rationale_rate": 1.0, "rationale_words": 13.3, **changes})


def _words(svg: Path) -> str:
    """All text of a picture, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", svg.read_text())).split())


def test_what_the_runs_hold_is_drawn_and_the_rest_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracking(tmp_path / "t.sqlite") as file:
        file.add(
            one(seed=seed, subsample=share, lr=lr)
            for one in (made, _distilled)
            for seed, share, lr in ((0, 0.5, 1e-3), (1, 0.5, 1e-3), (0, 1.0, 1e-4))
        )
    out = tmp_path / "figures"
    place = ("plots", "--tracking", str(tmp_path / "t.sqlite"), "--out", str(out))
    assert main(place) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "accuracy-by-subsample-demo.png",
        "accuracy-by-subsample-demo.svg",
    ]
    caption = _words(out / "accuracy-by-subsample-demo.svg")
    assert "n = 1 to 2 runs a point, 6 runs in all" in caption
    assert "No selection: every run" in caption
    assert "Runs that differ in lr alone are put together" in caption
    message = capsys.readouterr().out
    for kind, needs in (
        ("size", "a method with all data and two sizes of the student"),
        (
            "rationale-length",
            "step-by-step runs whose rationales differ in length by a word or more",
        ),
        ("rationale-rate", "runs of the same prompts at two rationale rates"),
    ):
        assert f"accuracy-by-{kind}: left out, it needs {needs}\n" in message


def test_a_point_is_the_mean_over_all_its_runs() -> None:
    runs = [made(seed=s, subsample=x, test_accuracy=x + s / 10) for s in (0, 1) for x in (0.5, 0.7)]
    [line] = by_subsample(frame_of(runs))
    assert [(where, mean.n) for where, mean in line.points] == [(0.5, 2), (0.7, 2)]
    assert [mean.mean for _, mean in line.points] == pytest.approx([0.55, 0.75])


def test_rates_begin_at_runs_without_rationales_on_the_same_labels() -> None:
    half = [
        _distilled(rationale_rate=rate, data="half", seed=s) for s, rate in ((0, 0.4), (1, 0.6))
    ]
    others = [made(), made(labels="teacher", teacher="gpt-6-luna"), _distilled(templates="t2")]
    [line] = by_rate(frame_of([_distilled(), *half, *others]))
    # Two seeds' own rows have a little more and a little less: one place.
    assert [(where, mean.n) for where, mean in line.points] == [(0.0, 1), (0.5, 2), (1.0, 1)]


def test_lengths_are_compared_where_as_many_rows_have_reasons() -> None:
    lengths = [_distilled(rationale_words=words, data=f"{words}") for words in (13.0, 23.0, 33.0)]
    rarer = _distilled(rationale_rate=0.3, rationale_words=13.4, data="rarer")
    lines = [line for line in by_words(frame_of([*lengths, rarer])) if len(line.points) > 1]
    assert [[where for where, _ in line.points] for line in lines] == [[13.0, 23.0, 33.0]]


def test_lines_are_named_by_what_tells_them_apart_where_they_are_drawn() -> None:
    shares = [one(subsample=x) for one in (made, _distilled) for x in (0.5, 1.0)]
    elsewhere = _distilled(data="rarer", mix="other")
    (kind,) = (each for each in KINDS if each.make is by_subsample)
    (picture,) = pictures(kind, frame_of([*shares, elsewhere]))
    figure = Figure()
    picture.paint(figure)
    (legend,) = figure.legends
    message = [text.get_text() for text in legend.get_texts()]
    assert message == ["standard, gold", "step-by-step, gold, gpt-6-luna"]


def test_sizes_stand_in_their_order_and_the_teacher_is_known() -> None:
    models = ("t5-v1_1-large", "t5-v1_1-small", "own-student")
    lines = by_size(frame_of([_distilled(model=model, teacher_accuracy=0.9) for model in models]))
    [line] = list(lines)
    places = dict(zip(line.runs["size"], line.runs["model"], strict=True))
    assert [places[where] for where in sorted(places)] == [
        "own-student",
        "t5-v1_1-small",
        "t5-v1_1-large",
    ]
    assert line.level == pytest.approx(0.9)


@pytest.mark.slow
@real_data
def test_the_originals_runs_stand_beside_own_ones(tmp_path: Path) -> None:
    place = ("--tracking", str(tmp_path / "t.sqlite"))
    words = [word for mix in ("6=24", "8=38", "9=61") for word in ("--words", mix)]
    assert main(["track", *place, "import", str(REAL), "--mixes", str(MIXES), *words]) == 0
    with Tracking(tmp_path / "t.sqlite") as file:
        file.add(made(task="cqa", subsample=share) for share in (0.5, 1.0))
    assert main(["plots", *place, "--out", str(tmp_path / "out")]) == 0
    kinds = ("subsample", "size", "rationale-length", "rationale-rate")
    drawn = {path.stem.removeprefix("accuracy-by-") for path in (tmp_path / "out").glob("*.png")}
    assert drawn == {f"{kind}-anli1" for kind in kinds} | {"subsample-cqa", "rationale-rate-cqa"}
    beside = _words(tmp_path / "out" / "accuracy-by-subsample-cqa.svg")
    for whose in ("your runs", "the original's runs"):
        assert f"student t5-v1_1-base, {whose}" in beside
