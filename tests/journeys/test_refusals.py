"""What a teacher refuses or does not get to: whose trouble it is, and what the run ends with."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from stepdistill.annotator.simulator.batch.settings import BatchPlan
from stepdistill.annotator.simulator.faults import Fault, FaultPlan
from tests.annotator.teacher.raw_teacher import RawTeacher, Say, completion, reply, say
from tests.journeys.conftest import MOOD_TEMPLATES, Annotate, Done
from tests.journeys.test_batch import run as run_demo
from tests.journeys.test_batch import with_plan
from tests.journeys.test_row_to_shard import simulator

pytestmark = pytest.mark.usefixtures("mood")

JOYFUL = say(reply(completion("Joyful, as the sun shines.")))
TOO_LONG = "This model holds 2,048 tokens, and 'text number {n}' has 2,7{n}. Please shorten it."
Saying = Callable[[int, dict[str, object]], Say]


def refusal(status: str, error: object, *headers: str) -> Say:
    """An error reply, in OpenAI's shape unless it is a page or has a shape of its own."""
    body = error if isinstance(error, bytes) else orjson.dumps(error)
    return say(reply(body, *headers, status=status))


def an_error(message: str, **fields: object) -> dict[str, object]:
    return {"error": {"message": message, **fields}}


def teacher_of(saying: Saying) -> RawTeacher:
    """A teacher that answers by the number of the row and the whole request."""

    def otherwise(body: bytes) -> Say:
        request = orjson.loads(body)
        words = request["messages"][-1]["content"].replace(",", " ").split()
        return saying(int(words[words.index("number") + 1]), request)

    return RawTeacher([], otherwise)


async def run(annotate: Annotate, teacher: RawTeacher, *more: str, rows: int = 300) -> Done:
    words = ("run", "mood", "--data", "rows.jsonl", "--template", "one", "--teacher", "t")
    to = ("--base-url", teacher.base_url, "--samples", str(rows))
    return await asyncio.to_thread(annotate, *words, *to, *more)


def rejects(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "runs/mood/train/rejects.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def last_line(done: Done) -> str:
    return done.err.strip().splitlines()[-1]


async def test_a_rejected_row_has_its_key_the_teachers_words_and_the_answer(
    annotate: Annotate, tmp_path: Path
) -> None:
    said = {2: say(reply(completion("Hm. " * 100)))}
    said |= {
        n: refusal("400 Bad Request", an_error(TOO_LONG.format(n=n), code="too_long"))
        for n in (3, 4)
    }
    async with teacher_of(lambda n, _: said.get(n, JOYFUL)) as teacher:
        done = await run(annotate, teacher, rows=6)
        shown = await run(annotate, teacher, "--json", rows=6)
    assert done.code == shown.code == 0, done.err

    unread, refused, also = rejects(tmp_path)
    assert (unread["id"], unread["reason"], unread["stage"]) == (
        "train-2",
        "no_verdict",
        "response",
    )
    assert unread["answer"] == ("Hm. " * 100)[:200]
    assert (refused["id"], refused["reason"], refused["stage"]) == (
        "train-3",
        "bad_request",
        "request",
    )
    assert "answer" not in refused
    assert "2,73. Please shorten it." in str(refused["detail"])
    assert len({unread["key"], refused["key"], also["key"]}) == 3
    assert "bad_request: 2 rows (train-3, train-4; all in" in done.out
    assert "Please shorten it." in done.out
    assert 'such as "Hm. Hm. ' in done.out
    assert shown.json["details"]["bad_request"] == refused["detail"]
    assert (shown.json["asked"], shown.json["cached"], shown.json["unanswered"]) == (0, 4, 0)


async def test_rows_that_the_teacher_did_not_get_to_are_asked_for_again(
    annotate: Annotate, tmp_path: Path
) -> None:
    """In batches, as three tries are soon over there."""
    settings = with_plan(BatchPlan(rows=FaultPlan(script=(Fault.SERVER_ERROR, Fault.OVERLOADED))))
    async with simulator(tmp_path, settings) as teacher:
        done = await run_demo(annotate, teacher, "--batch-api", rows=20)
        shown = await run_demo(annotate, teacher, "--batch-api", "--json", rows=20)
        offline = await run_demo(annotate, teacher, "--offline", rows=20)
    assert done.code == shown.code == 3
    assert last_line(done) == "annotate: 2 rows were not answered: run it again"
    assert (shown.json["unanswered"], shown.json["records"]) == (2, 18)
    assert "2 of them in vain" in done.out
    assert offline.code == 0, "nobody was to be asked"


async def test_a_run_whose_rows_were_all_missed_ends_as_one_to_go_on_with(
    annotate: Annotate, tmp_path: Path
) -> None:
    script = (Fault.SERVER_ERROR,) * 3
    settings = with_plan(BatchPlan(rows=FaultPlan(script=script)))
    async with simulator(tmp_path, settings) as teacher:
        done = await run_demo(annotate, teacher, "--batch-api", rows=3)
    assert done.code == 3
    assert "no row gave a record: teacher_unavailable: 3" in last_line(done)
    assert "the same command asks again" in last_line(done)


KEY_IN_A_LIST = [{"error": {"code": 400, "message": "the API key is not a valid one"}}]
NO_PAGE = b"<!DOCTYPE html><title>Request refused</title><h1>Not let through</h1>"


@pytest.mark.parametrize(
    ("refused", "words", "most"),
    [
        (refusal("400 Bad Request", KEY_IN_A_LIST), ("API key is not a valid one",), 1),
        (refusal("403 Forbidden", an_error("Your account may not do this")), ("account",), 1),
        (refusal("403 Forbidden", NO_PAGE, "Content-Type: text/html"), ("Request refused",), 64),
        (refusal("422 Unprocessable", {"detail": "no field x"}), ("no field x",), 64),
        (
            refusal("400 Bad Request", an_error("Unsupported parameter: 'temperature'")),
            ("temperature", "leave_out", "models.yaml"),
            1,
        ),
    ],
)
async def test_what_every_row_is_refused_for_ends_the_run(
    annotate: Annotate, tmp_path: Path, refused: Say, words: tuple[str, ...], most: int
) -> None:
    (tmp_path / "prompts/mood/templates.yaml").write_text(
        MOOD_TEMPLATES.replace('{text}"}', '{text}", options: {temperature: 0}}')
    )
    async with teacher_of(lambda _n, _: refused) as teacher:
        done = await run(annotate, teacher)
    assert done.code == 2, done.err
    for word in words:
        assert word in last_line(done)
    assert "<" not in last_line(done)
    assert len(teacher.requests) <= most
    assert not (tmp_path / "runs/mood/train").exists()


@pytest.mark.parametrize("with_numbers", [True, False])
async def test_refusals_that_differ_in_what_they_quote_are_alike(
    annotate: Annotate, with_numbers: bool
) -> None:
    def saying(n: int, _: object) -> Say:
        words = f"'text number {n}' is refused (request req_{n}x)" if with_numbers else "x" * n
        return refusal("400 Bad Request", an_error(words))

    async with teacher_of(saying) as teacher:
        done = await run(annotate, teacher, "--concurrency", "4")
    assert done.code == 2
    assert f"the first {20 if with_numbers else 60} requests were" in last_line(done)
    assert "none was answered" in last_line(done)
    assert len(teacher.requests) <= (24 if with_numbers else 64)


async def test_a_refused_row_never_keeps_a_run_from_its_end(
    annotate: Annotate, tmp_path: Path
) -> None:
    """A firewall that minds one text in three, the first among them; and so again the next time."""
    page = refusal("403 Forbidden", NO_PAGE, "Content-Type: text/html")
    async with teacher_of(lambda n, _: page if n % 3 == 0 else JOYFUL) as teacher:
        done = [await run(annotate, teacher, rows=90) for _ in range(2)]
    assert [each.code for each in done] == [0, 0], done[1].err
    lines = rejects(tmp_path)
    assert {line["reason"] for line in lines} == {"content_refused"}
    assert len(lines) == 30
    assert "Request refused" in str(lines[0]["detail"])
    assert len(teacher.requests) == 90 + 30


async def test_a_key_that_is_withdrawn_meanwhile_ends_the_run(annotate: Annotate) -> None:
    no_key = refusal("403 Forbidden", an_error("The API key was revoked"))
    async with teacher_of(lambda n, _: JOYFUL if n < 30 else no_key) as teacher:
        done = await run(annotate, teacher, "--concurrency", "4")
    assert done.code == 2
    assert "API key was revoked" in last_line(done)
    assert 50 <= len(teacher.requests) <= 60


def takes_only(name: str) -> Saying:
    """A teacher that knows one of the names of the limit on the answer's length."""

    def saying(_: int, request: dict[str, object]) -> Say:
        wrong = next(field for field in request if field.startswith("max_") and field != name)
        return refusal(
            "400 Bad Request",
            an_error(
                f"Unsupported parameter: '{wrong}'", code="unsupported_parameter", param=wrong
            ),
        )

    return lambda n, request: JOYFUL if name in request else saying(n, request)


async def test_a_limit_that_is_refused_is_named_otherwise_once_and_for_all(
    annotate: Annotate, tmp_path: Path
) -> None:
    async with teacher_of(takes_only("max_completion_tokens")) as teacher:
        done = await run(annotate, teacher, "--concurrency", "8", rows=40)
        assert done.code == 0, done.err
        refused = len(teacher.requests) - 40
        more = await run(annotate, teacher, "--concurrency", "8", "--json", rows=60)
        words = ("mood", "--data", "rows.jsonl", "--template", "one", "--teacher", "t")
        to = ("--base-url", teacher.base_url, "--body")
        shown = await asyncio.to_thread(annotate, "prompts", "render", *words, *to)
    assert 1 <= refused <= 8
    assert "refuses max_tokens" in done.err
    assert done.err.count("max_completion_tokens instead; the store remembers it") == 1
    assert (more.json["asked"], more.json["cached"], more.json["records"]) == (20, 40, 60)
    assert len(teacher.requests) == 40 + refused + 20
    assert "instead" not in more.err
    assert "max_completion_tokens" in json.loads(shown.out)
    assert not (tmp_path / "runs/mood/train/rejects.jsonl").read_text()


async def test_an_older_server_gets_the_older_name(annotate: Annotate, tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("models: {t: {limit_name: max_completion_tokens}}")
    async with teacher_of(takes_only("max_tokens")) as teacher:
        done = await run(annotate, teacher, "--models", "models.yaml", rows=10)
    assert done.code == 0, done.err
    assert "asked with max_tokens instead" in done.err


async def test_a_server_that_takes_neither_name_is_left(annotate: Annotate) -> None:
    async with teacher_of(takes_only("no such name")) as teacher:
        done = await run(annotate, teacher, rows=10)
    assert done.code == 2
    assert "takes neither max_tokens nor max_completion_tokens" in last_line(done)
    assert len(teacher.requests) <= 10


async def test_a_model_that_tells_no_log_probabilities_is_left_at_once(annotate: Annotate) -> None:
    words = "You are not allowed to request logprobs from this model"
    no = refusal("403 Forbidden", an_error(words))
    async with teacher_of(lambda _, request: no if "logprobs" in request else JOYFUL) as teacher:
        done = await run(annotate, teacher, "--logprobs", "5", rows=40)
        plain = await run(annotate, teacher, rows=5)
    assert done.code == 2
    assert words in last_line(done) and "--votes 5" in last_line(done)
    assert len(teacher.requests) <= 16 + 5
    assert plain.code == 0, plain.err


async def test_in_batches_a_part_that_is_refused_alike_is_the_last(
    annotate: Annotate, tmp_path: Path
) -> None:
    settings = with_plan(BatchPlan(rows=FaultPlan(rates={Fault.BAD_REQUEST: 1.0})))
    parts = ("--max-batch-requests", "25", "--enqueued-tokens", "2000")
    async with simulator(tmp_path, settings) as teacher:
        done = await run_demo(annotate, teacher, "--batch-api", *parts, rows=200)
        n_batches = len(teacher.log.batch.batches)
    assert done.code == 2
    assert "the first 20 requests were refused alike" in last_line(done)
    assert n_batches < 8


async def test_an_experiment_ends_as_what_became_of_its_requests(
    annotate: Annotate, tmp_path: Path
) -> None:
    words = ("experiment", "mood", "--data", "rows.jsonl", "--test-size", "8", "--teacher", "t")
    refused = refusal("400 Bad Request", an_error("Not today"))
    async with teacher_of(lambda _n, _: refused) as teacher:
        none = await asyncio.to_thread(annotate, *words, "--base-url", teacher.base_url)
    settings = with_plan(BatchPlan(rows=FaultPlan(script=(Fault.SERVER_ERROR,))))
    async with simulator(tmp_path, settings) as teacher:
        demo = ("experiment", "demo", "--teacher", "t", "--test-size", "5", "--batch-api")
        to = ("--templates", "label-first", "--base-url", teacher.base_url)
        some = await asyncio.to_thread(annotate, *demo, *to)
    assert none.code == 2
    assert last_line(none) == "annotate: none of 16 requests was answered (400: Not today)"
    assert some.code == 3, some.err
    assert last_line(some).startswith("annotate: 1 request was not answered (asked in 3 batches")
