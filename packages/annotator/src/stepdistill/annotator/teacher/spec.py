"""Who the teacher is: what it is called, where it is, what it is asked with; made once in a run."""

import base64
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import orjson
from pydantic import SecretStr

from stepdistill.annotator.errors import KeyRefused, NotAuthorised, TeacherError
from stepdistill.annotator.plan.key import SAMPLE, Endpoint, Request, endpoint_of
from stepdistill.annotator.plan.model_options import ModelOptions
from stepdistill.annotator.provider.profile import Provider
from stepdistill.annotator.provider.profiles import UNKNOWN
from stepdistill.annotator.settings.teacher import LimitName
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.billing import tokens_beyond
from stepdistill.annotator.teacher.dialects.dialect import Dialect, Limit
from stepdistill.annotator.teacher.dialects.registry import dialect_of
from stepdistill.annotator.teacher.error_reply import error_of, is_full
from stepdistill.annotator.teacher.reply import ReplyContext
from stepdistill.annotator.teacher.token_command import TokenCommand
from stepdistill.common.errors import ConfigError

CONNECT_S = 10.0
_CHARACTERS_PER_TOKEN = 4
# What stays as it is in a path and in a query: all that RFC 3986 lets stand there, and escapes.
_IN_PATHS = "/%:@!$&'()*+,;=~"
_IN_QUERIES = f"{_IN_PATHS}?"
# A key this short is none, but a word for "none is needed"; an answer may well have the word.
_SHORTEST, DISTINCT = 4, 12  # characters
_REDACTED = b"[secret]"
_OTHER_FILES = 64  # open files that are no connections: the store, logs, the terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """What may be sent in a minute; None for no limit of our own. share: of these, and of what the
    teacher names, where others ask it under the same limits."""

    requests_per_minute: float | None = None  # > 0
    tokens_per_minute: float | None = None  # > 0
    share: float = 1.0  # > 0, <= 1

    def shared(self, limit: float | None) -> float | None:
        """This run's part of a limit. A little is left: each of those who share it may be a whole
        request ahead of its pace, and all together no more than one who has it alone."""
        if limit is None:
            return None
        return max(limit * self.share - (1 - self.share), limit * self.share / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """One of several addresses at which the same model is asked."""

    base_url: str  # without a slash at its end
    provider: Provider = UNKNOWN
    api_key: SecretStr | None = None  # this and the others as in TeacherSpec
    key_name: str = "OPENAI_API_KEY"
    token: TokenCommand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherSpec:
    """Who the teacher is, how it is reached, and how much it is asked at once. Of all this only
    model, endpoint and options are part of a request's key."""

    model: str
    base_url: str  # without a slash at its end
    provider: Provider = UNKNOWN  # what is known of who serves it
    api_key: SecretStr | None = None  # None where none is needed
    key_name: str = "OPENAI_API_KEY"  # where it is found, in the environment
    token: TokenCommand | None = None  # prints what is sent in place of a key, where there is none
    options: ModelOptions = field(default_factory=ModelOptions)  # of models.yaml
    max_tokens: int = 512  # the longest answer asked for
    limit_name: LimitName = "max_tokens"  # the field of a request that says so
    tier: str | None = None  # that is asked for; None: whichever is usual
    tier_fallback: bool = False  # where that is full, the usual one is asked for
    label_names: tuple[str, ...] = ()  # near which the log-probabilities of an answer are kept
    timeout_s: float = 120.0  # for one answer, > 0
    concurrency: int = 1  # requests in flight at most, >= 1
    first_concurrency: int | None = None  # to begin with; None: `online/window.py` finds it
    rate_limits: RateLimits = field(default_factory=RateLimits)
    is_embedded: bool = False  # the simulator within this process, which ends with it
    others: tuple[ServerAddress, ...] = ()  # further servers of the same model
    kept_as: str | None = None  # the address that keys are made of, where it is not base_url

    def ready_to_ask(self, simulator_url: str | None = None) -> Self:
        """The same as this process can ask it: at the embedded simulator's address if it is that,
        with a clean key, and no more at once than there may be open files.

        Raises ConfigError when there is neither key nor server.
        """
        key = _clean(self.api_key, self.key_name)
        others = tuple(
            replace(each, api_key=_clean(each.api_key, each.key_name)) for each in self.others
        )
        needs_key = self.provider.needs_key and self.provider.is_at(self.base_url)
        if needs_key and not key and self.token is None:
            raise ConfigError(
                f"no teacher can be reached: set {self.key_name} (environment or .env), or name a "
                "server of your own with --base-url http://..., or try for free with --teacher "
                "simulated"
            )
        return replace(
            self,
            base_url=simulator_url or self.base_url,
            api_key=key,
            others=others,
            concurrency=connections_allowed(self.concurrency),
        )

    @property
    def endpoint(self) -> Endpoint:
        """Who serves it, as a request's key has it."""
        address = self.kept_as or self.base_url
        root = self.dialect.root(urlsplit(address).path.rstrip("/"))
        return endpoint_of(address, self.dialect.path(root, self.model))

    @property
    def endpoint_name(self) -> str:
        """The same in one word, as it is written down."""
        return f"{self.endpoint.name}{self.endpoint.path}"

    @property
    def may_use_proxy(self) -> bool:
        """Whether a proxy could reach it: not where it is on this machine."""
        return endpoint_of(self.base_url).name != "localhost"

    @property
    def each_address(self) -> "tuple[TeacherSpec, ...]":
        """The same teacher at each of its addresses, the first one before the others."""
        if not self.others:
            return (self,)
        # What may be open at once is shared between them.
        allowed = connections_allowed(self.concurrency * (1 + len(self.others)))
        first = replace(
            self,
            others=(),
            kept_as=self.kept_as or self.base_url,
            concurrency=max(1, allowed // (1 + len(self.others))),
        )
        names = [each.name for each in fields(ServerAddress)]
        others = ({name: getattr(other, name) for name in names} for other in self.others)
        return (first, *(replace(first, **other) for other in others))

    @property
    def address(self) -> str:
        """Host and port, for a person."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    @property
    def url(self) -> str:
        """Where requests go."""
        return self._url(self._path)

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""
        return dialect_of(self.provider.dialect)

    @property
    def _path(self) -> str:
        return self.dialect.path(self._root, self.model)

    @property
    def _root(self) -> str:
        return self.dialect.root(urlsplit(self.base_url).path.rstrip("/"))

    def url_of(self, path: str) -> str:
        """Where a call goes: its path behind the address's own."""
        return self._url(self._root + path)

    def _url(self, path: str) -> str:
        """The address with this path, its query at the end; in ASCII, without user and password."""
        address = urlsplit(self.base_url)
        host = address.netloc.rpartition("@")[2]
        if not host.isascii():
            host = ":".join(part.encode("idna").decode() for part in host.split(":"))
        asked = [address.query] if address.query else []
        asked += [f"{name}={value}" for name, value in self.provider.query.items()]
        query = quote("&".join(asked), safe=_IN_QUERIES)
        return urlunsplit((address.scheme, host, quote(path, safe=_IN_PATHS), query, ""))

    @property
    def headers(self) -> dict[str, str]:
        """What goes with every call: the provider's own, and who asks, by user and password of the
        address or by key."""
        return {**self.provider.headers, **self._credentials}

    @property
    def _credentials(self) -> dict[str, str]:
        address, key = urlsplit(self.base_url), self.api_key
        if address.username or address.password:
            both = f"{unquote(address.username or '')}:{unquote(address.password or '')}"
            return {"Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}
        if key is None:
            return {} if self.token is None else {"Authorization": f"Bearer {self.token.token}"}
        if self.provider.key_header is not None:
            return {self.provider.key_header: key.get_secret_value()}
        return {"Authorization": f"Bearer {key.get_secret_value()}"}

    @property
    def sends_secret(self) -> bool:
        """Whether a key or a password goes with every call."""
        return bool(self._credentials)

    def body(self, request: Request) -> bytes:
        """The bytes that go out: what the key was made of, and what only limits the answer."""
        body = self.dialect.wire(request, Limit(self.max_tokens, self.limit_name))
        if self.tier is not None:
            body = {**body, **self.dialect.tier(self.tier)}
        if self.is_embedded and request.form.sample:
            body = {**body, SAMPLE: request.form.sample}
        return orjson.dumps(body)

    def longest(self, request: Request) -> int:
        """The most tokens that its answer may be billed for, whichever of its fields are heeded."""
        return self.max_tokens + tokens_beyond(request.form.fields, self.max_tokens)

    def weigh(self, request: Request) -> int:
        """Tokens as the teacher counts them toward its limit: the larger of answer and estimate."""
        characters = len(request.system) + len(request.user)
        return max(self.max_tokens, -(-characters // _CHARACTERS_PER_TOKEN))

    def answer(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer in a reply. Raises TeacherError."""
        if not 200 <= status < 300:
            raise self.error(status, headers, body)
        try:
            return self._read(headers, self.redacted(body, shortest=DISTINCT))
        except TeacherError:  # it names no secret, however short
            return self._read(headers, self.redacted(body))

    def _read(self, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            request_id = headers.get("x-request-id") or headers.get("request-id") or ""
            asked = ReplyContext(
                limit=self.max_tokens,
                request_id=self._redacted_text(request_id),
                model=self.model,
                headers=headers,
                label_names=self.label_names,
            )
            return self.dialect.read(body, asked)
        except KeyRefused as error:
            raise self.with_remedy(error) from None

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> TeacherError:
        """What a reply with a bad status means."""
        if 300 <= status < 400:
            headers = {"location": self._redacted_text(headers.get("location", ""))}
        return self.with_remedy(error_of(status, self.redacted(body), headers))

    async def as_asked_again(self, error: TeacherError, sent: Mapping[str, str]) -> Self | None:
        """The teacher as a request is put to it once more after this error: with another token, or
        at the usual tier, as the other is full; None where nothing would differ. sent: the headers
        that the request had. Raises ConfigError: the command for tokens fails."""
        if isinstance(error, NotAuthorised):
            return self if await self.renewed(sent) else None
        if self.tier is None or not self.tier_fallback or not is_full(error):
            return None
        return replace(self, tier="default")

    async def renewed(self, headers: Mapping[str, str]) -> bool:
        """Whether there is another token than the one that was refused with these headers. Raises
        ConfigError: the command fails."""
        refused = headers.get("Authorization", "").removeprefix("Bearer ")
        return self.token is not None and self.api_key is None and await self.token.renew(refused)

    def with_remedy(self, error: TeacherError) -> TeacherError:
        """The same error; where the key is refused, with the name of the one that was sent."""
        if not isinstance(error, KeyRefused):
            return error
        if self.headers.get("Authorization", "").startswith("Basic"):
            return NotAuthorised(f"{error}: check user and password of --base-url")
        if self.api_key is None and self.token is not None:
            return NotAuthorised(f"{error}: with the token of `{self.token.command}`")
        if self.api_key is None:
            return NotAuthorised(f"{error}: set {self.key_name} (environment or .env)")
        return NotAuthorised(f"{error}: check {self.key_name}")

    def redacted(self, content: bytes, shortest: int = _SHORTEST) -> bytes:
        """What the teacher sent, without the key and the password, should it echo them."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        if self.token is not None and self.api_key is None:
            key = self.token.token
        for secret in _secrets(key, self.base_url):
            if secret in content and (len(secret) >= shortest or secret.startswith(b"sk-")):
                content = content.replace(secret, _REDACTED)
        return content

    def _redacted_text(self, text: str) -> str:
        if not text:
            return text
        content = text.encode("utf-8", "surrogateescape")
        return self.redacted(content).decode("utf-8", "surrogateescape")


def _clean(key: SecretStr | None, name: str) -> SecretStr | None:
    """A key without what does not belong to it. Raises ConfigError: it is none."""
    text = key.get_secret_value().strip() if key else ""
    if not (text.isascii() and text.isprintable()):
        raise ConfigError(
            f"{name}: it has a character that no key has (a line break, a typographic quote?): "
            "copy it again"
        )
    return SecretStr(text) if text else None


@lru_cache(maxsize=16)
def _secrets(key: str, base_url: str) -> tuple[bytes, ...]:
    """What must not be shown, as it may be written in a reply: the longest first."""
    url = urlsplit(base_url)
    user, password = unquote(url.username or ""), unquote(url.password or "")
    both = f"{user}:{password}"
    basic = base64.b64encode(both.encode()).decode()
    found = {key, url.password or "", *((password, both, basic) if password else ())}
    escaped = {each.replace("/", r"\/") for each in found}  # as some write it in JSON
    whole = {each.encode() for each in found | escaped if len(each) >= _SHORTEST}
    return tuple(sorted(whole, key=len, reverse=True))


def connections_allowed(wanted: int) -> int:
    """How many connections this process may hold; its limit of open files is raised as needed."""
    # A limit of 1,024 is usual, and as many requests in flight would break it.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    allowed = wanted if soft == resource.RLIM_INFINITY else soft - _OTHER_FILES
    return max(1, min(wanted, allowed))
