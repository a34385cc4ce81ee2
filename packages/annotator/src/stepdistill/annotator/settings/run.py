"""Settings of a run: what the command line says, and the secrets that only the environment says."""

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from stepdistill.common.errors import ConfigError

OPENAI_BASE_URL = "https://api.openai.com/v1"
SIMULATED = "simulated"
STORE = Path("runs/store")
OUT = Path("runs")
MODELS = Path("models.yaml")
PRICES = Path("prices.yaml")
# The widest that the window grows by itself; most teachers stop it long before.
AUTO_CONCURRENCY = 1024


# Files of batches hold 50,000 requests and 200 MB at most; a margin is kept from the bytes.
BATCH_REQUESTS = 50_000
BATCH_MB = 190.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How the Batch API is used.

    wait: until all is answered; else leave once all is sent. max_requests, max_bytes: of one part.
    fallback_online_after_s: take back what is not answered by then, and ask it online; None: never.
    enqueued_tokens: of prompts in batches at a time; None: as many as the teacher takes.
    """

    wait: bool = True
    max_requests: int = BATCH_REQUESTS
    max_bytes: int = int(BATCH_MB * 1e6)
    fallback_online_after_s: float | None = None
    enqueued_tokens: int | None = None


class Secrets(BaseSettings):
    """Keys come from the environment or the `.env` file where one stands, never from flags."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    openai_api_key: SecretStr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSettings:
    """How answers become shards.

    reader: by name. rationale_rate: the share of records that has reasons, 0 to 1.
    filters: by name. max_student_tokens: the longest text of a student, None for any.
    student_tokenizer: a `tokenizer.json`; without it a text's tokens are estimated.
    """

    rows_per_shard: int = 10_000
    reader: str = "verdict"
    rationale_rate: float = 1.0
    filters: frozenset[str] = frozenset()
    max_student_tokens: int | None = None
    student_tokenizer: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """One `annotate run`.

    data: a folder, a file, `hub:NAME`, or None for the task's own source.
    samples: the first N rows of each split; None for all.
    template: a template id; mix: a mix's name or file; neither: the task's mix `default`.
    base_url: None for OpenAI, or for the embedded simulator when teacher is `simulated`.
    concurrency: requests in flight at most, fewer where the teacher slows down; None: found out.
    prices: a file of one's own prices; max_cost_usd: what may be spent, None for anything; budget:
    the name that other runs spend it under, too.
    models: a file of options by model; log: a file that events are appended to.
    batch: ask through the Batch API; None to ask online.
    max_tokens: the longest answer asked for; outside the key, so raising it asks nothing again.
    votes: how often each label is asked for.
    """

    task: str
    splits: tuple[str, ...]
    teacher: str
    prompts: Path
    store: Path
    out: Path
    data: str | None = None
    samples: int | None = None
    template: str | None = None
    mix: str | None = None
    base_url: str | None = None
    offline: bool = False
    concurrency: int | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    models: Path | None = None
    log: Path | None = None
    batch: BatchSettings | None = None
    max_tokens: int = 512
    timeout_s: float = 120.0
    votes: int = 1
    prices: Path | None = None
    max_cost_usd: Decimal | None = None
    budget: str | None = None
    shards: ShardSettings = field(default_factory=ShardSettings)

    def __post_init__(self) -> None:
        """Settings that contradict each other are a ConfigError."""
        if self.template is not None and self.mix is not None:
            raise ConfigError("--template and --mix exclude each other: a mix names its templates")


def default_prompts() -> Path:
    """`prompts` where one stands, else the project's own beside the packages."""
    here = Path("prompts")
    return here if here.is_dir() or not own_prompts().is_dir() else own_prompts()


def own_prompts() -> Path:
    """The project's own tasks, beside the packages in a checkout."""
    return Path(__file__).resolve().parents[6] / "prompts"
