"""Which provider a teacher is at, and what a file of one's own changes."""

from pathlib import Path

import pytest

from stepdistill.annotator.provider.profiles import load_providers, serving
from stepdistill.common.errors import ConfigError, PromptError

OWN = "http://gpu-3:8000/v1"


@pytest.mark.parametrize(
    ("teacher", "base_url", "provider", "model"),
    [
        ("gpt-x", None, "openai", "gpt-x"),
        ("simulated", None, "", "simulated"),
        ("anthropic:claude-x", None, "anthropic", "claude-x"),
        ("Claude:claude-x", None, "anthropic", "claude-x"),
        ("responses:gpt-x", OWN, "openai-responses", "gpt-x"),
        ("openrouter:deepseek/r1:free", None, "openrouter", "deepseek/r1:free"),
        ("ft:gpt-x:mine", None, "openai", "ft:gpt-x:mine"),
        ("any", "https://api.groq.com/openai/v1", "groq", "any"),
        ("any", "https://mine.openai.azure.com/openai/v1", "azure", "any"),
        ("any", "https://api.openai.com.evil.example/v1", "", "any"),
        ("any", OWN, "", "any"),
        # Names with a colon in them, as Ollama's are, though a provider is called so, too.
        ("llama3:8b", OWN, "", "llama3:8b"),
        ("mistral:7b", OWN, "", "mistral:7b"),
        ("mistral:7b-instruct-q4_0", OWN, "", "mistral:7b-instruct-q4_0"),
        ("mistral:latest", OWN, "", "mistral:latest"),
        ("ollama:mistral:7b", None, "ollama", "mistral:7b"),
        ("mistral:mistral-large-latest", OWN, "mistral", "mistral-large-latest"),
        ("anthropic:", OWN, "", "anthropic:"),
    ],
)
def test_a_teacher_is_found_by_its_name_or_its_address(
    teacher: str, base_url: str | None, provider: str, model: str
):
    found = serving(teacher, base_url)
    assert (found.provider.name, found.model) == (provider, model)


@pytest.mark.parametrize("teacher", ["antropic:claude-x", "open-router:a/b", "mistral:7b"])
def test_a_name_that_is_nearly_a_providers_is_asked_about(teacher: str):
    with pytest.raises(ConfigError, match="a server of yours"):
        serving(teacher, None)
    assert serving(teacher, OWN).model == teacher


def test_an_address_of_openais_dialect_is_spoken_to_in_that():
    base_url = "https://generativelanguage.googleapis.com/v1beta/openai"
    assert serving("gemini-x", base_url).provider.dialect == "chat"
    assert serving("gemini-x", base_url.removesuffix("/openai")).provider.dialect == "gemini"


def test_a_file_of_ones_own_adds_and_changes(tmp_path: Path):
    path = tmp_path / "providers.yaml"
    path.write_text(
        "providers:\n"
        "  mine: {base_url: 'https://llm.example/v1', key_env: [MINE]}\n"
        "  groq: {key_env: [OTHER]}\n"
    )
    providers = load_providers(path)
    assert providers["mine"].key_env == ("MINE",)
    assert providers["groq"].key_env == ("OTHER",)
    assert providers["groq"].hosts == load_providers()["groq"].hosts
    assert serving("mine:model", None, path).provider.name == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("providers: {mine: {bass_url: x}}", "providers.mine.bass_url"),
        ("providers: {mine: {dialect: latin}}", "providers.mine.dialect"),
        ("others: {}", "`providers`|`others`"),
    ],
)
def test_what_is_wrong_in_it_is_said_with_its_place(tmp_path: Path, text: str, says: str):
    path = tmp_path / "providers.yaml"
    path.write_text(text)
    with pytest.raises(PromptError, match=says):
        load_providers(path)
