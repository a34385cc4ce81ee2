"""From `--logprobs` to `label_probs` in the shards: asked, kept, read, and nothing without it."""

import json
from pathlib import Path
from typing import Any

from tests.journeys.conftest import Annotate

DEMO = ("run", "demo", "--teacher", "simulated", "--samples", "60")


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "train/shard-00000.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_logprobs_become_label_probs(annotate: Annotate, tmp_path: Path):
    def run(out: str, *more: str) -> list[dict[str, Any]]:
        done = annotate(*DEMO, "--out", out, *more)
        assert done.code == 0, done.err
        return rows(tmp_path / out)

    plain, told, both = (
        run("plain"),
        run("told", "--logprobs", "5"),
        run("both", "--logprobs", "5", "--votes", "3"),
    )
    assert all("label_probs" not in row for row in plain)
    for row in told:
        probs = row["label_probs"]
        assert sum(probs.values()) <= 1.0002
        # Sure of what it has right, of two minds about what it has wrong.
        assert max(probs, key=lambda name: probs[name]) == row["gold"]
        assert (probs[row["label"]] > 0.9) == (row["label"] == row["gold"])
    assert [{**row, "keys": 0} for row in plain] == [
        {name: value for name, value in {**row, "keys": 0}.items() if name != "label_probs"}
        for row in told
    ]
    assert all(row["label_probs"] and row["label_votes"] for row in both)
    # Another key: whoever adds it asks anew, and all that is stored stays.
    assert not {row["keys"]["label"] for row in plain} & {row["keys"]["label"] for row in told}
    again = annotate(*DEMO, "--out", "again", "--logprobs", "5", "--offline")
    assert (again.code, rows(tmp_path / "again")) == (0, told), again.err
    assert run("batch", "--logprobs", "5", "--batch-api", "--store", "other") == told


def test_labels_that_the_teacher_doubts_can_be_left_out(annotate: Annotate, tmp_path: Path):
    sure = annotate(*DEMO, "--logprobs", "5", "--min-sureness", "0.8", "--out", "sure", "--json")
    assert sure.code == 0, sure.err
    assert sure.json["splits"]["train"]["rejected"].keys() == {"unsure"}
    assert all(row["label_probs"][row["label"]] >= 0.8 for row in rows(tmp_path / "sure"))
    told = annotate("report", "sure", "--json")
    assert told.json["calibration"]["source"] == "logprobs", told.err
    assert told.json["rejected"].keys() == {"unsure"}
    refused = annotate(*DEMO, "--min-sureness", "0.8")
    assert refused.code == 2 and "--logprobs 5" in refused.err


def test_a_provider_that_tells_none_is_refused_in_one_line(annotate: Annotate):
    words = ("--samples", "5", "--logprobs")
    said = annotate("run", "demo", "--teacher", "groq:any", *words, "5")
    assert (said.code, said.out) == (2, "")
    assert "--votes 5" in said.err and "Groq" in said.err and "\n" not in said.err.strip()
    many = annotate("run", "demo", "--teacher", "xai:any", *words, "20")
    assert many.code == 2 and "8 at most" in many.err


def test_kinds_whose_labels_have_no_probability_are_refused(annotate: Annotate, tmp_path: Path):
    lines = "".join(f"thing {n} is so,{n % 5 + 1}\n" for n in range(40))
    (tmp_path / "own.csv").write_text(f"text,stars\n{lines}", encoding="utf-8")
    assert annotate("new", "own", "own.csv", "--label", "stars", "--kind", "number").code == 0
    said = annotate("run", "own", "--data", "data/own", "--teacher", "simulated", "--logprobs", "5")
    assert said.code == 2 and "kind number" in said.err and "--votes 5" in said.err
