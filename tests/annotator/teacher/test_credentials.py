"""Which key goes to which host, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from stepdistill.annotator.provider.profiles import serving
from stepdistill.annotator.teacher.credentials import credential_remarks, key_for
from stepdistill.annotator.teacher.spec import TeacherSpec
from tests.annotator.teacher.asking import a_spec

KEYS = {"OPENAI_API_KEY": "sk-openai", "TEACHER_API_KEY": "any", "GROQ_API_KEY": "gsk-groq"}


@pytest.fixture(autouse=True)
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without `.env`, and an environment without keys."""
    monkeypatch.chdir(tmp_path)
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def spec_for(base_url: str) -> TeacherSpec:
    name, key = key_for(base_url)
    return replace(a_spec(base_url), api_key=key, key_name=name)


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("api.openai.com", ["OPENAI_API_KEY"]),
        ("eu.api.openai.com", ["OPENAI_API_KEY"]),
        ("groq.com:8443", ["GROQ_API_KEY", "TEACHER_API_KEY", "OPENAI_API_KEY"]),
        ("api.groq.co.uk", ["GROQ_API_KEY", "TEACHER_API_KEY", "OPENAI_API_KEY"]),
        ("openai.example", ["TEACHER_API_KEY", "OPENAI_API_KEY"]),
        ("groq.example.com", ["TEACHER_API_KEY", "OPENAI_API_KEY"]),
        ("groq", ["TEACHER_API_KEY", "OPENAI_API_KEY"]),
        ("groq.internal", ["TEACHER_API_KEY", "OPENAI_API_KEY"]),
        ("8.8.8.8", ["TEACHER_API_KEY", "OPENAI_API_KEY"]),
        ("[::1]:8000", ["TEACHER_API_KEY", "OPENAI_API_KEY"]),
    ],
)
def test_the_key_named_for_a_host_goes_before_the_others(
    monkeypatch: pytest.MonkeyPatch, host: str, names: list[str]
):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    for best in names:
        name, key = key_for(f"https://{host}/v1")
        assert name == best and key and key.get_secret_value() == KEYS[best]
        monkeypatch.delenv(best)
    assert key_for(f"https://{host}/v1")[1] is None


@pytest.mark.parametrize(
    ("teacher", "base_url", "names"),
    [
        ("any", "https://api.groq.com/openai/v1", ["GROQ_API_KEY", "TEACHER_API_KEY"]),
        ("groq:any", None, ["GROQ_API_KEY", "TEACHER_API_KEY"]),
        ("groq:any", "http://127.0.0.1:8000/v1", ["GROQ_API_KEY", "TEACHER_API_KEY"]),
        ("groq:any", "https://llm.example.com/v1", ["TEACHER_API_KEY"]),
        ("openai:any", None, ["OPENAI_API_KEY"]),
        ("openai:any", "https://llm.example.com/v1", ["TEACHER_API_KEY"]),
    ],
)
def test_a_providers_key_goes_to_the_provider_alone(
    monkeypatch: pytest.MonkeyPatch, teacher: str, base_url: str | None, names: list[str]
):
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    provider, _, is_named = serving(teacher, base_url)
    url = base_url or provider.base_url or ""
    for best in names:
        assert key_for(url, provider, is_named=is_named)[0] == best
        monkeypatch.delenv(best)
    assert key_for(url, provider, is_named=is_named)[1] is None


def test_a_key_may_stand_in_the_file_and_an_empty_one_in_the_environment_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".env").write_text("GROQ_API_KEY=from-the-file\nOTHER=1\n")
    assert spec_for("https://api.groq.com/v1").headers == {"Authorization": "Bearer from-the-file"}
    monkeypatch.setenv("GROQ_API_KEY", "")
    assert spec_for("https://api.groq.com/v1").ready_to_ask().headers == {}


@pytest.mark.parametrize(
    ("base_url", "words"),
    [
        ("https://api.openai.com/v1", []),
        ("http://127.0.0.1:8000/v1", []),
        ("http://gpu-3:8000/v1", []),
        ("http://192.168.1.7/v1", []),
        ("https://api.mistral.ai/v1", ["OPENAI_API_KEY is sent to api.mistral.ai", "MISTRAL_API_"]),
        ("http://8.8.8.8/v1", ["OPENAI_API_KEY is sent to 8.8.8.8", "unencrypted"]),
        ("http://me:word@gpu.example.com/v1", ["OPENAI_API_KEY is not", "user and password and"]),
        ("https://me:word@gpu.example.com/v1", ["OPENAI_API_KEY is not"]),
        ("http://me:word@127.0.0.1/v1", ["OPENAI_API_KEY is not"]),
    ],
)
def test_a_secret_that_goes_far_or_nowhere_is_told_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, base_url: str, words: list[str]
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    told = "\n".join(credential_remarks(spec_for(base_url)))
    assert bool(told) is bool(words)
    assert [each for each in words if each not in told] == []
    assert "sk-secret" not in told and "word@" not in told


def test_the_key_that_is_named_for_a_host_goes_there_without_a_word(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("TEACHER_API_KEY", "mine")
    assert list(credential_remarks(spec_for("https://api.mistral.ai/v1"))) == []
    assert list(credential_remarks(a_spec("http://8.8.8.8/v1"))) == []
