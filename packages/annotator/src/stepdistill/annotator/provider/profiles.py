"""The providers that are known, and which of them a teacher is at.

anthropic:claude-x                             named
gpt-x                                          OpenAI, as nothing else is said
gpt-x with https://openrouter.ai/api/v1        by the address
llama3:8b with http://gpu-3:11434/v1           nobody that is known: a name with a colon in it
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import ValidationError

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.provider.profile import Provider, ProvidersFile
from stepdistill.annotator.settings.teacher import OPENAI_BASE_URL, SIMULATED
from stepdistill.common.errors import ConfigError, PromptError

_OWN = Path("providers.yaml")
_SHIPPED = Path(__file__).parent / "providers.yaml"
_OPENAI = "openai"
UNKNOWN = Provider(title="an OpenAI-compatible server", needs_key=False, structured="json_schema")
_ALIKE = 0.8  # of a name and a mistyped one
# What Ollama has behind a model's name: mistral:7b, mistral:latest, mistral:7b-instruct-q4_0
_TAG = re.compile(r"latest|\d+(\.\d+)?[bm]\b.*|instruct.*|text.*", re.I)
# Gemini's and others' address of OpenAI's dialect ends so: .../v1beta/openai
_AS_OPENAI = re.compile(r"/openai(/v\d\w*)?/?$")


class Serving(NamedTuple):
    """Whom a teacher's name and address mean."""

    provider: Provider
    model: str  # as the provider calls it
    is_named: bool  # by the teacher's name: anthropic:claude-x


def load_providers(path: Path | None = None) -> Mapping[str, Provider]:
    """The providers by name: the shipped ones, and those of a file of one's own over them. path:
    ./providers.yaml, where one stands, if None. Raises PromptError: what is wrong with it."""
    shipped = _shipped()
    if path is None and not _OWN.is_file():
        return shipped
    own, path = dict[str, Provider](), path or _OWN
    for name, fields in read_yaml(path, ProvidersFile).providers.items():
        before = shipped[name].model_dump() if name in shipped else {}
        try:
            own[name] = Provider.model_validate({**before, **fields, "name": name})
        except ValidationError as error:
            wrong = error.errors()[0]
            where = ".".join(str(part) for part in wrong["loc"])
            raise PromptError(f"{path}: providers.{name}.{where}: {wrong['msg']}") from None
    return {**shipped, **own}


@lru_cache(1)
def _shipped() -> Mapping[str, Provider]:
    entries = read_yaml(_SHIPPED, ProvidersFile).providers
    return {
        name: Provider.model_validate({**fields, "name": name}) for name, fields in entries.items()
    }


def serving(teacher: str, base_url: str | None, path: Path | None = None) -> Serving:
    """Who serves a teacher, as --teacher and --base-url name it. path: of providers of one's own.
    Raises PromptError; ConfigError: a provider's name is mistyped."""
    providers = load_providers(path)
    if teacher == SIMULATED and base_url is None:
        return Serving(UNKNOWN, teacher, is_named=False)
    prefix, colon, model = teacher.partition(":")
    named = _by_name(providers, prefix) if colon and model and not _TAG.fullmatch(model) else None
    if named is not None:
        return Serving(named, model, is_named=True)
    if base_url is None and colon:
        _check_prefix(providers, teacher, prefix)
    return Serving(_at(providers, base_url or OPENAI_BASE_URL), teacher, is_named=False)


def _check_prefix(providers: Mapping[str, Provider], teacher: str, prefix: str) -> None:
    """Raises ConfigError: what stands before the colon is meant for a provider, and is none. Others
    have colons in their names, too: OpenAI's ft:gpt-x:mine."""
    names = [*providers, *(name for each in providers.values() for name in each.aliases)]
    near = get_close_matches(prefix.lower(), names, 1, _ALIKE)
    if near:
        raise ConfigError(
            f"--teacher {teacher}: is it {near[0]}:MODEL (`annotate providers list`), or a model "
            "of a server of yours? Then name that with --base-url"
        )


def _by_name(providers: Mapping[str, Provider], name: str) -> Provider | None:
    name = name.lower()
    return providers.get(name) or next(
        (each for each in providers.values() if name in each.aliases), None
    )


def _at(providers: Mapping[str, Provider], base_url: str) -> Provider:
    """The provider whose address it is."""
    found = next((each for each in providers.values() if each.is_at(base_url)), UNKNOWN)
    if found.dialect != "chat" and _AS_OPENAI.search(urlsplit(base_url).path):
        # It speaks OpenAI's dialect there, and wants the key as OpenAI does.
        others = {"dialect": "chat", "key_header": None, "logprobs": None, "batch": None}
        return found.model_copy(update=others)
    return found
