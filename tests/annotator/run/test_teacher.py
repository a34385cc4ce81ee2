"""From settings to the teacher: address, key, options, tier; a wrong one is found here."""

import re
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stepdistill.annotator.plan.key import endpoint_of
from stepdistill.annotator.run.planning import make_plans, prepare_run
from stepdistill.annotator.run.teacher import at_its_own_address, teacher_spec, unsaid_remarks
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import OPENAI_BASE_URL, SIMULATED
from stepdistill.annotator.teacher.spec import RateLimits, TeacherSpec
from stepdistill.annotator.teacher.token_command import TokenCommand
from stepdistill.common.errors import ConfigError
from tests.journeys.conftest import ROOT

MODELS = "models: {o-large: {limit_name: max_tokens, leave_out: [temperature], body: {top_p: 1}}}"
PRICES = "models: {o-large: [{valid_from: 2026-01-01, source: offer, input: 1, output: 2}]}"
OWN = "http://gpu-3.example:8000/v1"


def settings(**changes: Any) -> RunSettings:
    parts: dict[str, Any] = {
        "task": "demo",
        "splits": ("train",),
        "teacher": "o-large",
        "prompts": ROOT / "prompts",
        "store": Path("store"),
        "out": Path("out"),
    }
    return RunSettings(**{**parts, **changes})


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A key in the environment, and a folder without `.env`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", " sk-very-secret\n")
    return "sk-very-secret"


@pytest.mark.parametrize(
    ("changes", "base_url", "limit_name", "is_embedded"),
    [
        ({}, OPENAI_BASE_URL, "max_completion_tokens", False),
        ({"base_url": f"{OWN}/"}, OWN, "max_tokens", False),
        ({"teacher": SIMULATED}, "http://localhost/v1", "max_tokens", True),
        ({"teacher": SIMULATED, "base_url": OWN}, OWN, "max_tokens", False),
    ],
)
def test_settings_say_who_the_teacher_is(
    changes: dict[str, Any], base_url: str, limit_name: str, is_embedded: bool
):
    teacher = teacher_spec(settings(max_tokens=7, requests_per_minute=60.0, **changes))

    assert (teacher.base_url, teacher.limit_name) == (base_url, limit_name)
    assert (teacher.endpoint, teacher.is_embedded) == (endpoint_of(base_url), is_embedded)
    assert (teacher.max_tokens, teacher.rate_limits) == (7, RateLimits(requests_per_minute=60.0))
    assert (teacher.concurrency, teacher.first_concurrency) == (1024, None)


def test_who_names_a_concurrency_begins_with_half_of_it():
    teacher = teacher_spec(settings(concurrency=9))
    assert (teacher.concurrency, teacher.first_concurrency) == (9, 5)


def test_the_key_is_sent_clean_and_never_shown(key: str):
    teacher = teacher_spec(settings()).ready_to_ask()

    assert teacher.headers == {"Authorization": f"Bearer {key}"}
    assert key not in repr(teacher) and key not in f"{teacher}"


@pytest.mark.parametrize("changes", [{"offline": True}, {"teacher": SIMULATED}])
def test_who_asks_nobody_elsewhere_reads_no_key(changes: dict[str, Any]):
    assert teacher_spec(settings(**changes)).api_key is None


@pytest.mark.parametrize(
    ("secret", "base_url", "words"),
    [
        ("", OPENAI_BASE_URL, "no teacher can be reached: set OPENAI_API_KEY"),
        ("sk-tw\no", OPENAI_BASE_URL, "a character that no key has"),
        ("sk-“quoted”", OWN, "a character that no key has"),
    ],
)
def test_what_no_request_could_be_sent_with_is_refused(secret: str, base_url: str, words: str):
    teacher = teacher_spec(settings(base_url=base_url))
    with pytest.raises(ConfigError, match=words):
        _with_key(teacher, secret).ready_to_ask()
    assert _with_key(teacher, "sk-1").ready_to_ask().headers


def _with_key(teacher: TeacherSpec, secret: str) -> TeacherSpec:
    return replace(teacher, api_key=SecretStr(secret))


@pytest.mark.parametrize(
    "url",
    [
        *("gpu-3:8000/v1", "http:///v1", "http://gpu-3:port/v1", "ftp://gpu-3/v1"),
        *("http://gpu-3:99999/v1", "http://[::1/v1", "http://a..b/v1", f"http://{'g' * 64}/v1"),
    ],
)
def test_an_address_that_is_none_is_refused_and_shown_without_its_secrets(url: str):
    with pytest.raises(ConfigError, match=re.escape(f"--base-url {url}: not a URL")):
        teacher_spec(settings(base_url=url))
    for secret in ("me:pass-word@", "me:pass/word@", "me:p@ss-word@"):
        scheme, mark, rest = url.rpartition("://")
        with pytest.raises(ConfigError) as caught:
            teacher_spec(settings(base_url=f"{scheme}{mark}{secret}{rest}?key=pass-word"))
        assert "ss-word" not in str(caught.value) and "word" not in str(caught.value)


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (f"{OWN}?api-version=2024-02-01", f"{OWN}/chat/completions?api-version=2024-02-01"),
        (f"{OWN}/?sig=a%2Fb/", f"{OWN}/chat/completions?sig=a%2Fb/"),
        ("http://me:word@gpu-3.example:8000/v1", f"{OWN}/chat/completions"),
        ("https://gpü.example/ä b/v1", "https://xn--gp-yka.example/%C3%A4%20b/v1/chat/completions"),
        ("http://[::1]:8000/v1#part", "http://[::1]:8000/v1/chat/completions"),
    ],
)
def test_requests_go_to_the_path_behind_the_address_s_with_its_query_at_the_end(
    base_url: str, url: str
):
    teacher = teacher_spec(settings(base_url=base_url))
    assert teacher.url == url
    assert teacher.endpoint.path == endpoint_of(base_url.partition("?")[0]).path


def test_user_and_password_of_an_address_go_before_a_key():
    teacher = teacher_spec(settings(base_url="http://me:p%40ss@gpu-3.example/v1")).ready_to_ask()
    assert teacher.headers == {"Authorization": f"Basic {b64encode(b'me:p@ss').decode()}"}


def test_the_embedded_simulator_is_asked_where_it_is_under_the_same_keys():
    config = settings(teacher=SIMULATED)
    before = teacher_spec(config)
    ready = before.ready_to_ask("http://127.0.0.1:4711/v1")

    assert ready.url == "http://127.0.0.1:4711/v1/chat/completions"
    assert ready.endpoint == before.endpoint == make_plans(config)[0].endpoint


def test_a_plan_has_of_the_teacher_what_a_key_is_made_of(tmp_path: Path):
    (tmp_path / "models.yaml").write_text(MODELS)
    (tmp_path / "prices.yaml").write_text(PRICES)
    config = settings(models=tmp_path / "models.yaml", prices=tmp_path / "prices.yaml")
    run = prepare_run(config)
    (plan,) = make_plans(config, run.teacher)

    assert (plan.model, plan.endpoint, plan.options) == (
        run.teacher.model,
        run.teacher.endpoint,
        run.teacher.options,
    )
    assert run.teacher.limit_name == "max_tokens"
    request = next(iter(plan.rows())).label
    assert b'"top_p":1' in run.teacher.body(request)
    assert run.tariff.host == "api.openai.com" and "o-large" in run.tariff.own.models


@pytest.mark.parametrize(
    ("optimizer", "teacher", "base_url"),
    [
        ("openai:gpt-x", "mine", None),
        ("openai:gpt-x", "anthropic:claude-x", None),
        ("anthropic:claude-y", "anthropic:claude-x", OWN),
        ("mine-too", "mine", OWN),
    ],
)
def test_of_two_providers_each_has_its_own_address(
    optimizer: str, teacher: str, base_url: str | None
):
    config = settings(teacher=optimizer, base_url=OWN)
    assert at_its_own_address(config, teacher).base_url == base_url


@pytest.mark.parametrize(
    ("changes", "max_tokens"),
    [
        ({}, 512),
        ({"effort": "none"}, 512),
        ({"effort": "low"}, 2_560),
        ({"effort": "high", "max_tokens": 512}, 512),  # as it is named
        ({"teacher": "openai:o3-mini"}, 4_608),
        ({"teacher": "gpt-5.2"}, 4_608),
        ({"teacher": "gpt-5-chat-latest"}, 512),
        ({"teacher": "openrouter:deepseek/deepseek-r1:free"}, 4_608),
        ({"teacher": "phi-o3x"}, 512),
        ({"teacher": "gemini:gemini-2.5-flash-lite"}, 512),
    ],
)
def test_who_thinks_first_has_room_for_it(changes: dict[str, Any], max_tokens: int):
    assert settings(**{"teacher": "any", **changes}).max_tokens == max_tokens


def test_an_effort_is_part_of_what_is_asked_and_refused_where_there_is_none_such():
    teacher = teacher_spec(settings(teacher="openai:o3", effort="low"))
    assert teacher.options.apply({}) == {"reasoning_effort": "low"}
    with pytest.raises(ConfigError, match="--effort lots: OpenAI has none, minimal, low"):
        teacher_spec(settings(teacher="openai:o3", effort="lots"))
    assert teacher_spec(settings(base_url=OWN, effort="lots")).options.body


def test_what_a_provider_does_not_take_is_left_out_and_said():
    config = settings(teacher="anthropic:claude-x", base_url=OWN)
    teacher = teacher_spec(config)
    (plan,) = make_plans(config, teacher)
    options: dict[str, Any] = {"temperature": 0.3, "seed": 7}
    asked = {"one": plan.templates["label-first"].model_copy(update={"options": options})}
    plan = replace(plan, templates=asked)

    assert list(unsaid_remarks(teacher, [plan])) == [
        "temperature of template one is not sent: Anthropic does not take it",
        "seed of template one is not sent: Anthropic does not take it",
    ]
    assert "temperature" not in plan.options.apply(options)
    own = replace(plan, templates={"one": asked["one"].model_copy(update={"options": {}})})
    own = replace(own, options=plan.options.model_copy(update={"body": {"seed": 7}}))
    told = list(unsaid_remarks(teacher, [own, own]))
    assert told == ["seed of models.yaml is not sent: Anthropic does not take it"]
    assert list(unsaid_remarks(teacher_spec(settings()), [plan])) == []


def test_a_command_for_tokens_is_for_its_providers_addresses(tmp_path: Path):
    path = tmp_path / "providers.yaml"
    path.write_text("providers: {azure: {key_command: print-a-token}}")
    azure = "https://mine.openai.azure.com/openai/v1"

    def token(**changes: Any) -> TokenCommand | None:
        return teacher_spec(settings(providers=path, **changes)).token

    found = token(base_url=azure)
    assert found is not None and found.command == "print-a-token"
    assert token(teacher="azure:mine", base_url=OWN) is None
    assert token(base_url=azure, offline=True) is None


def test_batches_are_asked_only_of_whom_takes_them():
    with pytest.raises(ConfigError, match="DeepSeek takes no batches: leave it out"):
        teacher_spec(settings(teacher="deepseek:chat", batch_api=True))
