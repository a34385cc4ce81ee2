"""Settings: who the teacher is, and how it is asked, online or in batches.

Keys come from the environment or the `.env` file where one stands, never from flags.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal, get_args

from cyclopts import Parameter, Token
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from stepdistill.common.command_line import Settings, at_least, options, read_by
from stepdistill.common.errors import ConfigError
from stepdistill.common.named_teacher import Tier

OPENAI_BASE_URL = "https://api.openai.com/v1"
SIMULATED = "simulated"
LimitName = Literal["max_tokens", "max_completion_tokens"]
LIMIT_NAMES: tuple[LimitName, ...] = get_args(LimitName)
# The widest that the window grows by itself; most teachers stop it long before.
AUTO_CONCURRENCY = 1024
_MODELS = Path("models.yaml")


def _models_file() -> Path | None:
    return _MODELS if _MODELS.is_file() else None


class DefaultTokens(int):
    """A limit on an answer's length that nobody has named: it may be raised for thoughts."""


# Room for thoughts beside an answer, in tokens: by --effort, and for models that think unasked.
_UNASKED, _MOST_ROOM = 4_096, 32_768
_ROOM = {
    "none": 0,
    "minimal": 512,
    "low": 2_048,
    "default": _UNASKED,
    "medium": 8_192,
    "high": 16_384,
}
# o3, gpt-5.2, deepseek-r1, deepseek-reasoner, gemini-2.5-pro, qwq-32b, grok-4, gpt-oss-120b
_THINKS = re.compile(
    r"(^|[/:])o\d|gpt-5(?!.*chat)|gpt-oss|deepseek-(r\d|reasoner)|qwq|magistral|grok-4|"
    r"gemini-(2\.5|[3-9])(?!.*lite)|think|reason",
    re.I,
)


def thinking_room(model: str, effort: str | None) -> int:
    """How many tokens an answer may think for beside what it says, where nobody says."""
    if effort is not None:
        return _ROOM.get(effort, _MOST_ROOM)
    return _UNASKED if _THINKS.search(model) and "non-think" not in model else 0


def _connections(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65_536:
        raise ConfigError(f"--concurrency {text}: a number from 1, or auto")
    return int(text)


class Addresses(str):
    """The first of the addresses at which a model is asked, and what is known of the others."""

    others: tuple[str, ...] = ()  # further servers of the same model
    kept_as: str | None = None  # the address that answers are kept under; None: this one

    @classmethod
    def of(cls, each: Iterable[str], kept_as: str | None = None) -> "Addresses | None":
        """Several addresses, or one; None of none."""
        first, *others = dict.fromkeys(each) or (None,)
        if first is None:
            return None
        made = cls(first)
        made.others, made.kept_as = tuple(others), kept_as
        return made


def addresses_in(base_url: str | None) -> tuple[str, ...]:
    """All addresses that are named by --base-url."""
    others = base_url.others if isinstance(base_url, Addresses) else ()
    return (str(base_url), *others) if base_url else ()


def kept_under(base_url: str | None) -> str | None:
    """The address that answers are kept under."""
    other = base_url.kept_as if isinstance(base_url, Addresses) else None
    return other or base_url


def _addresses(_: object, tokens: Sequence[Token]) -> str | None:
    return Addresses.of(token.value.strip() for token in tokens)


@options("Teacher", 3)
class ProviderSettings(Settings):
    """What is known of who serves teachers."""

    providers: Path | None = None
    """YAML of providers of your own, or otherwise; default: ./providers.yaml where one stands."""


@options("Teacher", 3)
class ServerSettings(ProviderSettings):
    """Where the teacher is, and what differs from model to model."""

    base_url: Annotated[
        str | None, Parameter(converter=_addresses, n_tokens=-1, consume_multiple=False)
    ] = None
    """A server, as http://localhost:8000/v1, or once for each of several that serve the same model;
    default: the provider's own, OpenAI's without one."""
    models: Path | None = field(default_factory=_models_file)
    """YAML of options by model; default: ./models.yaml where one stands."""


@options("Teacher", 3)
class TeacherSettings(ServerSettings):
    """The model that is asked."""

    teacher: str
    """The model to ask, as MODEL or PROVIDER:MODEL, or `simulated`: free, on this machine."""
    effort: str | None = None
    """How hard it thinks, as low or high: part of each request's key; default: as it likes."""

    @property
    def uses_simulator(self) -> bool:
        """Whether the embedded simulated teacher is asked."""
        return self.teacher == SIMULATED and self.base_url is None


@options("Teacher", 3)
class AnswerSettings(Settings):
    """How long an answer may be. Outside the key, so raising it asks nothing again."""

    max_tokens: Annotated[int, at_least(1)] = DefaultTokens(512)
    """The longest answer asked for, in tokens; more by default where the teacher thinks first."""


@options("Teacher", 3)
class RateSettings(Settings):
    """What may be sent in a minute."""

    requests_per_minute: Annotated[float | None, at_least(0.1)] = None
    """Your limit; the teacher's headers may lower it."""
    tokens_per_minute: Annotated[float | None, at_least(1)] = None
    """Likewise; a request counts max(answer, prompt)."""


@options("Teacher", 3)
class TierSettings(Settings):
    """Which of a provider's services is asked."""

    tier: Tier | None = None
    """flex (cheaper, slower), priority or default, where the provider has such; outside the key."""
    tier_fallback: bool = False
    """Where that tier is full, ask at the usual one, at its price; default: wait for room."""

    @property
    def served_tier(self) -> str | None:
        """The tier as a reply names it, None for the usual one."""
        return None if self.tier == "default" else self.tier


@options("Several machines", 6)
class FleetSettings(Settings):
    """Who asks: this process, or workers of an engine."""

    engine: Literal["ray"] | None = None
    """ray: workers of a Ray cluster ask, under one limit and one ceiling; default: this process."""
    address: str | None = None
    """With --engine: the cluster, as auto or HOST:6379; default: one on this machine."""
    workers: Annotated[int | None, at_least(1)] = None
    """With --engine: how many ask; default: one for each CPU of the cluster, 16 at most."""

    def check(self) -> None:
        super().check()
        if self.engine is None and (self.address or self.workers):
            raise ConfigError("--address and --workers are about an engine: add --engine ray")


@options("Teacher", 3)
class AskSettings(FleetSettings, TierSettings, AnswerSettings, RateSettings):
    """How the teacher is asked."""

    concurrency: Annotated[int | None, read_by(_connections), Parameter(show_default="auto")] = None
    """Requests in flight at most, or auto: found by itself."""
    timeout_s: Annotated[float, at_least(0.1), Parameter(name="--timeout")] = 120.0
    """Seconds to wait for one answer."""
    log: Path | None = None
    """Append what happens to this file, a JSON line each."""


@options("Teacher", 3)
class OfflineSettings(Settings):
    """Whether anybody is asked."""

    offline: bool = False
    """Ask nobody: what the store has must do."""


def read_key(name: str) -> SecretStr | None:
    """A key by its name in the environment, else in `.env`; None where it is in neither."""

    class Secrets(BaseSettings):
        model_config = SettingsConfigDict(
            env_file=".env", env_file_encoding="utf-8", extra="ignore"
        )
        key: SecretStr | None = Field(default=None, validation_alias=name)

    return Secrets().key


_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")  # 1h30m: (1, h), (30, m)


def seconds_of(text: str) -> float | None:
    """Seconds of a duration as people and servers write it: 20h, 1h30m, 45s, 6m0s, 120ms; None
    where it is none."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def duration_of(option: str) -> Callable[[str], float]:
    """What reads an option's duration. It raises ConfigError: the text is none."""

    def read(text: str) -> float:
        seconds = seconds_of(text)
        if seconds is None:
            raise ConfigError(f"{option} {text}: a duration such as 20h, 90m, 1h30m or 45s")
        return seconds

    return read


_FALLBACK = "--fallback-online-after"


@options("Batch API", 4)
class BatchApiSettings(Settings):
    """Which way requests go."""

    batch_api: bool = False
    """Ask through the Batch API: half the price, slow."""


@options("Batch API", 4)
class BatchSettings(Settings):
    """How the Batch API is used."""

    wait: Annotated[bool, Parameter(negative="--no-wait")] = True
    """Wait for batches, or leave once all are sent."""
    # A file of batches holds 50,000 requests and 200 MB at most; a margin is kept from the bytes.
    max_requests: Annotated[int, at_least(1), Parameter(name="--max-batch-requests")] = 50_000
    """Requests in one batch."""
    max_mb: Annotated[float, at_least(0.001), Parameter(name="--max-batch-mb")] = 190.0
    """Size of one batch's file, in MB of 10^6 bytes."""
    enqueued_tokens: Annotated[int | None, at_least(1)] = None
    """Prompt tokens in batches at a time: your tier's limit; default: what the teacher takes."""
    fallback_online_after_s: Annotated[
        float | None, read_by(duration_of(_FALLBACK)), Parameter(name=_FALLBACK)
    ] = None
    """As 20h: then cancel, collect what is done, and ask the rest online."""

    @property
    def max_bytes(self) -> int:
        """Of one batch's file."""
        return int(self.max_mb * 1e6)
