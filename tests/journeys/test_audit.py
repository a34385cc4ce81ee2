"""An audit without gold: rows are chosen, judged, and it is said how good the labels are."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from stepdistill.common.judgements import Judgement, add_judgement
from tests.journeys.conftest import Annotate, Done
from tests.journeys.viewing import Viewing, viewings

RUN = ("run", "demo", "--teacher", "simulated", "--samples", "300", "--split", "train")


@pytest.fixture
def run(annotate: Annotate, tmp_path: Path) -> Path:
    done = annotate(*RUN)
    assert done.code == 0, done.err
    return tmp_path / "runs" / "demo"


def golds(run: Path) -> dict[str, str]:
    lines = (run / "train" / "shard-00000.jsonl").read_text(encoding="utf-8").splitlines()
    return {(row := json.loads(line))["id"]: row["gold"] for line in lines}


def judge(audit: Done, run: Path, name: str = "ann", wrong_ids: tuple[str, ...] = ()) -> None:
    """Judge every chosen row by its gold label; wrong_ids are called wrong whatever they are."""
    known = golds(run)
    for number, row in enumerate(audit.json["choice"]):
        gold = known[row["id"]]
        is_right = row["label"] == gold and row["id"] not in wrong_ids
        fields = {
            each: row[each] for each in ("split", "id", "row", "answer", "label", "rationale")
        }
        add_judgement(
            run.parent.parent / audit.json["judgements"],
            Judgement.model_validate(
                {
                    **fields,
                    "at": number,
                    "judge": name,
                    "verdict": "right" if is_right else "wrong",
                    "right": None if is_right else gold if gold != row["label"] else "other",
                    "reasons": "good" if number % 4 else "bad",
                }
            ),
        )


def test_before_and_after_judging(annotate: Annotate, run: Path) -> None:
    words = ("audit", "runs/demo", "--human", "60")
    before = annotate(*words, "--json")
    assert before.code == 0, before.err
    said = before.json
    assert (said["chosen"], said["judged"], said["teacher"]) == (60, 0, None)
    assert sum(each["chosen"] for each in said["strata"]) == 60
    assert sum(each["rows"] for each in said["strata"]) == said["rows"]
    assert said["next"] == "annotate audit runs/demo --human 60 --judge"
    assert said["next"] in annotate(*words).out
    assert annotate(*words, "--json").json == said
    judge(before, run)
    after = annotate(*words, "--json").json
    teacher = after["teacher"]
    truth = [row["label"] == golds(run)[row["id"]] for row in _records(run)]
    assert teacher["judged"] == after["judged"] == 60
    assert teacher["low"] <= sum(truth) / len(truth) <= teacher["high"]
    assert teacher["more_to_halve"] > 0
    assert 0.6 < after["rationales_good"]["accuracy"] < 0.9
    assert after["judges"] == {"ann": 60}
    shown = annotate(*words).out
    assert "60 of 60 chosen rows judged (ann 60)" in shown
    assert f"{100 * teacher['accuracy']:.1f} %" in shown
    assert max(map(len, shown.splitlines())) <= 80


def _records(run: Path) -> list[dict[str, str]]:
    text = (run / "train" / "shard-00000.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_more_rows_are_these_and_others(annotate: Annotate, run: Path) -> None:
    few = annotate("audit", "runs/demo", "--human", "20", "--json")
    judge(few, run)
    many = annotate("audit", "runs/demo", "--human", "50", "--json").json
    assert many["choice"][:20] == few.json["choice"]
    assert (many["judged"], many["chosen"], many["elsewhere"]) == (20, 50, 0)
    other = annotate("audit", "runs/demo", "--human", "20", "--seed", "1", "--json").json
    assert other["choice"] != few.json["choice"]
    assert other["judged"] + other["elsewhere"] == 20


def test_two_judges_and_where_they_differ(annotate: Annotate, run: Path) -> None:
    chosen = annotate("audit", "runs/demo", "--human", "30", "--json")
    differing = tuple(row["id"] for row in chosen.json["choice"][:6])
    judge(chosen, run)
    judge(chosen, run, "bob", differing)
    (agreement,) = annotate("audit", "runs/demo", "--human", "30", "--json").json["agreements"]
    assert agreement["judges"] == ["ann", "bob"] and agreement["rows"] == 30
    assert 24 <= agreement["same"] < 30 and agreement["kappa"] < 1
    assert "ann and bob agree on" in annotate("audit", "runs/demo", "--human", "30").out


def test_a_student_is_judged_too(annotate: Annotate, run: Path, tmp_path: Path) -> None:
    known = golds(run)
    lines = [
        json.dumps({"id": name, "label": gold if number % 5 else "division"})
        for number, (name, gold) in enumerate(known.items())
    ]
    (tmp_path / "said.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = ("audit", "runs/demo", "--human", "80", "--predictions", "said.jsonl", "--json")
    chosen = annotate(*words)
    assert chosen.code == 0, chosen.err
    assert "the student's labels" in chosen.json["known"]
    judge(chosen, run)
    said = annotate(*words).json
    right = sum((gold if n % 5 else "division") == gold for n, gold in enumerate(known.values()))
    assert said["student"]["low"] <= right / len(known) <= said["student"]["high"]


def test_what_other_templates_say_makes_rows_doubtful(annotate: Annotate) -> None:
    asked = ("run", "demo", "--teacher", "simulated", "--samples", "150", "--template")
    annotate(*asked, "reason-first", "--out", "other")
    annotate(*asked, "label-first", "--out", "runs/demo")
    said = annotate("audit", "runs/demo", "--human", "40", "--json").json
    assert "other templates' answers" in said["known"]
    doubtful = [each for each in said["strata"] if each["doubt"][1] > 0.5]
    sure = [each for each in said["strata"] if each["doubt"][1] < 0.3]
    rates = [sum(e["chosen"] for e in s) / sum(e["rows"] for e in s) for s in (doubtful, sure)]
    assert rates[0] > rates[1] > 0


def test_what_is_wrong_is_one_line(annotate: Annotate, run: Path, tmp_path: Path) -> None:
    (run / "judgements.jsonl").write_text('{"at": 1}\n', encoding="utf-8")
    broken = annotate("audit", "runs/demo")
    assert broken.code == 2 and "judgements.jsonl line 1: not a judgement" in broken.err
    store = annotate("audit", "runs/store")
    assert store.code == 2 and "name the folder of a run" in store.err
    none = annotate("audit", "runs/nowhere")
    assert none.code == 2 and "Traceback" not in none.err
    (tmp_path / "said.jsonl").write_text('{"id": "1"}\n', encoding="utf-8")
    (run / "judgements.jsonl").unlink()
    no_name = annotate("audit", "runs/demo", "--name", " ")
    assert no_name.code == 2 and "--name: 1 to 200 letters" in no_name.err
    no_label = annotate("audit", "runs/demo", "--predictions", "said.jsonl")
    assert no_label.code == 2 and "no column `label`" in no_label.err


def post(viewing: Viewing, path: str, body: object, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        viewing.base + path,
        data=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {viewing.token}", **headers},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_what_the_page_sends_is_checked(annotate: Annotate, run: Path, tmp_path: Path) -> None:
    both = annotate("audit", "runs/demo", "--judge", "--json")
    assert both.code == 2 and "exclude each other" in both.err
    with viewings(tmp_path) as start:
        viewing = start("runs/demo", "--human", "10", "--judge", "--name", "ann", command="audit")
        row = viewing.get("/api/rows/0")
        assert "gold" not in row["row"] and "student" not in row["row"]
        choices, label, answer = row["row"]["choices"], row["row"]["label"], row["answer"]
        wrong = {"answer": answer, "verdict": "wrong"}
        other = (choices.index(label) + 1) % len(choices)
        for body, why in (
            (b"no json", "not a judgement"),
            ({"answer": answer, "verdict": "maybe"}, "not a judgement"),
            ({**wrong, "answer": "0" * 64}, "shows another run"),
            ({**wrong, "choice": choices.index(label)}, "then it is right"),
            ({**wrong, "text": "no such label"}, "no label of this row"),
            ({**wrong, "text": "x" * 20_000}, "not a judgement"),
        ):
            code, said = post(viewing, "/api/rows/0", body)
            assert code == 409 and why in said["error"]
        assert post(viewing, "/api/rows/10", wrong)[0] == 409
        assert post(viewing, "/api/undo", {})[0] == 409
        elsewhere = {"Origin": "http://example.org"}
        assert post(viewing, "/api/rows/0", wrong, **elsewhere)[0] == 403
        stranger = {"Authorization": "Bearer no"}
        assert post(viewing, "/api/rows/0", wrong, **stranger)[0] == 403
        assert not (run / "judgements.jsonl").exists()
        code, said = post(viewing, "/api/rows/0", {**wrong, "choice": other, "reasons": "bad"})
        assert code == 200 and said["verdicts"] == ["wrong", *[None] * 9]
        (line,) = (run / "judgements.jsonl").read_text(encoding="utf-8").splitlines()
        assert json.loads(line)["right"] == choices[other]
        assert viewing.get("/api/result")["result"]["teacher"]["accuracy"] == 0.0
        code, shown = viewing.end()
        assert code == 0 and "9 rows are left to judge" in shown


def test_a_run_takes_judgements_for_gold_and_leaves_out_what_is_wrong(
    annotate: Annotate, run: Path
) -> None:
    before = (run / "train" / "manifest.json").read_bytes()
    chosen = annotate("audit", "runs/demo", "--human", "80", "--json")
    judge(chosen, run)
    people = ("--judgements", "runs/demo/judgements.jsonl", "--out", "runs/judged")
    done = annotate(*RUN, *people, "--filter", "judged_wrong", "--json")
    assert done.code == 0, done.err
    wrong = done.json["rejected_by_reason"]["judged_wrong"]
    assert 0 < wrong < 20 and done.json["judged_golds"] == 80 - wrong
    manifest = json.loads((run.parent / "judged" / "train" / "manifest.json").read_bytes())
    assert manifest["judgements"]["golds"] == 80 - wrong
    again = annotate(*RUN, *people, "--filter", "judged_wrong", "--json").json
    assert again["already_done"]
    as_gold = annotate(*RUN, *people)
    assert "80 gold labels are people's" in as_gold.out
    # Judged rows that were wrong are gone, so what is left of the judgements flatters.
    annotate(*RUN, *people, "--filter", "judged_wrong")
    audit = annotate("audit", "runs/judged", "--judgements", "runs/demo/judgements.jsonl")
    assert "look better than they are" in audit.err
    # Without the option nothing is another byte.
    annotate(*RUN, "--out", "runs/plain")
    assert (run.parent / "plain" / "train" / "manifest.json").read_bytes() == before


def test_judgements_that_are_not_there_are_refused(annotate: Annotate) -> None:
    missing = annotate(*RUN, "--judgements", "nowhere.jsonl")
    assert missing.code == 2 and "no such file" in missing.err
    alone = annotate(*RUN, "--filter", "judged_wrong")
    assert alone.code == 2 and "goes with --judgements" in alone.err
