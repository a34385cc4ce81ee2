"""Which key goes to whom: OpenAI's to OpenAI; other hosts get the one that is named for them.

api.openai.com          OPENAI_API_KEY
api.anthropic.com       ANTHROPIC_API_KEY, or TEACHER_API_KEY: a provider that is known
llm.example.com         EXAMPLE_API_KEY, or TEACHER_API_KEY, or OPENAI_API_KEY with a warning
gpu-3, 10.0.0.7         TEACHER_API_KEY, or OPENAI_API_KEY; of a provider that is named, its own
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from pydantic import SecretStr

from stepdistill.annotator.provider.profile import Provider
from stepdistill.annotator.provider.profiles import UNKNOWN
from stepdistill.annotator.settings.teacher import read_key
from stepdistill.annotator.teacher.spec import TeacherSpec

_OPENAI, _ANY = "OPENAI_API_KEY", "TEACHER_API_KEY"
_NEAR = (".local", ".localhost", ".lan", ".internal", ".home.arpa")
# Endings of two parts, before which a host's own name stands: ac.uk, com.au, co.jp
_SECOND_LEVEL = {"ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"}


def key_for(
    base_url: str, provider: Provider = UNKNOWN, *, is_named: bool = False
) -> tuple[str, SecretStr | None]:
    """The key for an address, and the name it was found under in the environment or `.env`; without
    one, the name that it would best have. is_named: the provider was named, and may be reached at
    another address."""
    names = _names(base_url, provider, is_named=is_named)
    for name in names:
        if (key := read_key(name)) is not None:
            return name, key
    return names[0], None


def credential_remarks(teacher: TeacherSpec) -> Iterator[str]:
    """What a person should know of who gets which secret."""
    address = urlsplit(teacher.base_url)
    host, has_password = address.hostname or "", bool(address.username or address.password)
    if has_password and teacher.api_key is not None:
        yield f"user and password of --base-url are sent to {host}, and {teacher.key_name} is not"
    if _is_near(host) or not teacher.sends_secret:
        return
    what = "user and password" if has_password else teacher.key_name
    if what == _OPENAI and not _is_openai(host):
        named = _names(teacher.base_url, teacher.provider, is_named=False)[0]
        yield f"{_OPENAI} is sent to {host}: a key for it goes before, as {named}=... in .env"
    if address.scheme == "http":
        yield f"{what} and all that is asked go to {host} unencrypted: has it an https:// address?"


def _names(base_url: str, provider: Provider, *, is_named: bool) -> tuple[str, ...]:
    """Where the key for an address is looked for, the best first."""
    host = urlsplit(base_url).hostname or ""
    if _is_openai(host):
        return (_OPENAI,)
    if provider.key_env and (provider.is_at(base_url) or (is_named and _is_near(host))):
        return (*provider.key_env, _ANY)
    own = _name_by_host(host)
    if is_named:  # somewhere else than its own address: its key does not go there
        return (own, _ANY) if own else (_ANY,)
    return (own, _ANY, _OPENAI) if own and own != _OPENAI else (_ANY, _OPENAI)


def _name_by_host(host: str) -> str:
    """As GROQ_API_KEY for api.groq.com; empty where a host has no name of that kind."""
    parts = [] if _is_near(host) else host.split(".")
    if len(parts) > 2 and parts[-2] in _SECOND_LEVEL:
        parts.pop()
    own = re.sub(r"\W|-", "_", parts[-2]).upper() if len(parts) > 1 else ""
    return f"{own}_API_KEY" if own else ""


def _is_openai(host: str) -> bool:
    return host == "openai.com" or host.endswith(".openai.com")


def _is_near(host: str) -> bool:
    """Whether it is this machine, or on a private network."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(_NEAR)
