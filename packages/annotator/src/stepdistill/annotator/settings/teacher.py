"""Settings: who the teacher is, and how it is asked."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepdistill.common.command_line import Settings, at_least, option_group, read_by
from stepdistill.common.errors import ConfigError

OPENAI_BASE_URL = "https://api.openai.com/v1"
SIMULATED = "simulated"
# The widest that the window grows by itself; most teachers stop it long before.
AUTO_CONCURRENCY = 1024
_MODELS = Path("models.yaml")


def _models_file() -> Path | None:
    return _MODELS if _MODELS.is_file() else None


def _connections(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65_536:
        raise ConfigError(f"--concurrency {text}: a number from 1, or auto")
    return int(text)


@dataclass(frozen=True, kw_only=True)
@option_group("Teacher", 3)
class ServerSettings(Settings):
    """Where the teacher is, and what differs from model to model."""

    base_url: str | None = None
    """An OpenAI-compatible server, as http://localhost:8000/v1; default: OpenAI."""
    models: Path | None = field(default_factory=_models_file)
    """YAML of options by model; default: ./models.yaml where one stands."""


@dataclass(frozen=True, kw_only=True)
@option_group("Teacher", 3)
class TeacherSettings(ServerSettings):
    """The model that is asked."""

    teacher: str
    """The model to ask, or `simulated`: free, on this machine."""


@dataclass(frozen=True, kw_only=True)
@option_group("Teacher", 3)
class AnswerSettings(Settings):
    """How long an answer may be. Outside the key, so raising it asks nothing again."""

    max_tokens: Annotated[int, at_least(1)] = 512
    """The longest answer asked for, in tokens."""


@dataclass(frozen=True, kw_only=True)
@option_group("Teacher", 3)
class RateSettings(Settings):
    """What may be sent in a minute."""

    requests_per_minute: Annotated[float | None, at_least(0.1)] = None
    """Your limit; the teacher's headers may lower it."""
    tokens_per_minute: Annotated[float | None, at_least(1)] = None
    """Likewise; a request counts max(answer, prompt)."""


@dataclass(frozen=True, kw_only=True)
@option_group("Teacher", 3)
class AskSettings(AnswerSettings, RateSettings):
    """How the teacher is asked."""

    concurrency: Annotated[int | None, read_by(_connections), Parameter(show_default="auto")] = None
    """Requests in flight at most, or auto: found by itself."""
    timeout_s: Annotated[float, at_least(0.1), Parameter(name="--timeout")] = 120.0
    """Seconds to wait for one answer."""
    log: Path | None = None
    """Append what happens to this file, a JSON line each."""


@dataclass(frozen=True, kw_only=True)
@option_group("Teacher", 3)
class OfflineSettings(Settings):
    """Whether anybody is asked."""

    offline: bool = False
    """Ask nobody: what the store has must do."""
