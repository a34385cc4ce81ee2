"""`annotate plots` as people use it."""

from pathlib import Path

from tests.journeys.conftest import Annotate

HISTORY = '{"iteration":0,"candidate":0,"state":"scored","rows":4,"expected":0.5,"best_score":0.5}'


def test_a_history_is_drawn_and_nothing_is_drawn_of_nothing(
    annotate: Annotate, tmp_path: Path
) -> None:
    (tmp_path / "other.json").write_text('{"task": "demo"}')
    for more, said in (
        (("--task", "demo"), "nothing to draw"),
        (("--metadata", "no-such.yaml"), "no-such.yaml"),
        (("--tournament", "no-such.json"), "no-such.json"),
        (("--tournament", "other.json"), "is no table of offers"),
    ):
        nothing = annotate("plots", "--out", "figures", *more)
        assert (nothing.code, "Traceback" in nothing.err) == (2, False)
        assert said in nothing.err
    (tmp_path / "history.jsonl").write_text(HISTORY + "\n")
    done = annotate("plots", "--out", "figures", "--history", "history.jsonl", "--json")
    assert done.code == 0, done.err
    assert done.json["figures"] == {
        "running-best": ["figures/running-best.png", "figures/running-best.svg"]
    }
    assert "no metadata.yaml" in done.json["left_out"][0]
    assert len(list((tmp_path / "figures").iterdir())) == 2
