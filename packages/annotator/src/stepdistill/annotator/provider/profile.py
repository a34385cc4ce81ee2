"""A provider: what is known of who serves teachers, so that it need not be said in every run.

One entry of `providers.yaml`, the shipped one or one's own:

providers:
  my-gateway:
    base_url: https://llm.example.com/v1
    hosts: [llm.example.com]
    key_env: [GATEWAY_API_KEY]
    headers: {X-Team: research}
"""

from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Literal, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stepdistill.annotator.settings.teacher import LimitName

DialectName = Literal["chat", "responses", "anthropic", "gemini"]
BatchProtocol = Literal["openai", "anthropic", "gemini", "openrouter", "together", "mistral"]
Structured = Literal["json_schema", "json_object"]
Share = Annotated[Decimal, Field(ge=0)]


class Provider(BaseModel):
    """What is known of a provider. Without any of it: a server that speaks as OpenAI does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""  # that --teacher NAME:MODEL begins with; empty for a server that nobody knows
    title: str = ""  # as people write it
    aliases: tuple[str, ...] = ()  # other names of the same
    base_url: str | None = None  # None: each customer has an address of their own
    others: tuple[
        str, ...
    ] = ()  # further servers of its models: what a list in base_url goes on with
    hosts: tuple[str, ...] = ()  # by which it is known; `*` stands for any text
    dialect: DialectName = "chat"
    # How it is known who asks.
    key_env: tuple[str, ...] = ()  # where the key is, in the environment or `.env`: the best first
    key_command: str | None = None  # prints a token in place of a key; asked again when it is over
    key_header: str | None = None  # that bears the key; None: `Authorization: Bearer`
    needs_key: bool = True  # else it is asked without, where there is none
    headers: dict[str, str] = {}  # go with every call
    query: dict[str, str] = {}  # of every call's address
    # What it takes.
    limit_name: LimitName = "max_tokens"  # of the limit on the answer's length, in the dialect chat
    leave_out: tuple[str, ...] = ()  # body fields that it refuses; part of a request's key
    structured: Structured | None = None  # the strictest form of answers that it keeps to
    logprobs: int | None = None  # alternatives of a token that it tells at most; None: none
    n: bool = False  # several answers to one request, whose prompt is billed once
    efforts: tuple[str, ...] = ()  # values of --effort that some of its models know
    # What it costs.
    batch: BatchProtocol | None = None  # how it takes batches; None: it takes none from us
    batch_share: Share | None = None  # of the online price, where no list says; None: nobody knows
    tiers: dict[str, Share | None] = {}  # --tier -> share of the usual price; None: in no list
    reports_cost: bool = False  # says in each reply what it cost
    docs: str = ""  # where its API is described

    @model_validator(mode="before")
    @classmethod
    def _of_several(cls, fields: dict[str, object]) -> dict[str, object]:
        """A list of addresses may stand where one does."""
        given = fields.get("base_url")
        if not isinstance(given, list) or not given:
            return fields
        first, *others = cast("list[object]", given)
        return {**fields, "base_url": first, "others": others}

    @property
    def addresses(self) -> tuple[str, ...]:
        """All of its own, the first one before the others."""
        return () if self.base_url is None else (self.base_url, *self.others)

    @property
    def full_name(self) -> str:
        """As people write it; empty for a server that nobody knows."""
        return self.title or self.name

    def is_at(self, base_url: str) -> bool:
        """Whether an address is one of its own."""
        host = urlsplit(base_url).hostname or ""
        return any(fnmatchcase(host, pattern) for pattern in self.hosts)


class ProvidersFile(BaseModel):
    """The content of `providers.yaml`: fields by name. What is not said of a shipped provider stays
    as it is there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: dict[str, dict[str, object]]
