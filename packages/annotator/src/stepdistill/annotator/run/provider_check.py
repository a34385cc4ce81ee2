"""A look at a provider: one cheap request that asks for all that it is said to give, and asked
again without what it refuses."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import urlsplit

import aiohttp
from pydantic import JsonValue

from stepdistill.annotator.errors import FormatRefused, ParameterRefused, TeacherError
from stepdistill.annotator.plan.key import RequestForm
from stepdistill.annotator.prompt.render import response_format
from stepdistill.annotator.reading.verdict.json_parts import is_object
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.body import loaded, object_in
from stepdistill.annotator.teacher.http.route import proxy_of, tls_context
from stepdistill.annotator.teacher.http.transport import open_transport
from stepdistill.annotator.teacher.http.unreachable import aiohttp_error
from stepdistill.annotator.teacher.online.rate_limiter import RateLimiter
from stepdistill.annotator.teacher.spec import RateLimits, TeacherSpec
from stepdistill.common.errors import ConfigError
from stepdistill.common.task import ClassSpec, LabelSpec

_QUESTION = "Is water wet? Give a reason in a few words, then the label: yes or no."
_LABEL = LabelSpec(kind="classes", classes={"yes": ClassSpec(), "no": ClassSpec()})
_SHOWN = 5  # names of models
_TRIES = 5  # with a field less each time
State = Literal["works", "refused", "ignored", "not named", "not tried", "not offered"]


class CheckResult(NamedTuple):
    """What was found of one thing."""

    what: str
    state: State
    words: str


@dataclass(slots=True, kw_only=True)
class ProviderCheck:
    """What was found of a provider."""

    teacher: TeacherSpec
    results: list[CheckResult] = field(default_factory=list[CheckResult])

    def add(self, what: str, state: State, words: str) -> None:
        """One thing."""
        self.results.append(CheckResult(what, state, words))


async def check_provider(model: str | None, spec_of: Callable[[str], TeacherSpec]) -> ProviderCheck:
    """Look at what it serves, and ask it once. model: None for the only one that it serves. Raises
    TeacherError: it cannot be reached, or does not answer; ConfigError: no key, or which model?"""
    served = await _models(spec_of(model or "-").ready_to_ask())
    if model is None:
        if served is None or len(served) != 1:
            names = ", ".join((served or [])[:_SHOWN]) or "it lists none"
            raise ConfigError(
                f"which of its models is to be asked? Name it, as NAME:MODEL ({names})"
            )
        model = served[0]
    found = ProviderCheck(teacher=spec_of(model).ready_to_ask())
    if served is not None:
        found.add("models", "works", f"{len(served):,} are listed")
    await _ask(found)
    return found


async def _models(teacher: TeacherSpec) -> list[str] | None:
    """The names of the models that it lists; None where it lists none, for whatever reason.
    Raises TeacherError: it cannot be reached."""
    proxy = proxy_of(teacher)
    tls = tls_context() if teacher.url.startswith("https:") else True
    timeout = aiohttp.ClientTimeout(total=teacher.timeout_s)
    connector = aiohttp.TCPConnector(ssl=tls)
    url, through = teacher.url_of("/models"), proxy and proxy.address
    try:
        async with (
            aiohttp.ClientSession(
                headers=teacher.headers, timeout=timeout, connector=connector
            ) as session,
            session.get(url, allow_redirects=False, proxy=through) as reply,
        ):
            content = await reply.read()
    except TimeoutError:
        return None
    except (aiohttp.ClientError, OSError) as error:
        raise aiohttp_error(error, urlsplit(url).netloc, proxy, is_first=True) from None
    with suppress(ValueError):
        return _names(loaded(content)) if reply.status == 200 else None
    return None


def _names(content: Any) -> list[str] | None:
    """Of {"data": [{"id"}]}, of Gemini's {"models": [{"name"}]}, and of a bare list."""
    fields: Mapping[str, Any] = object_in(content) or {"data": content}
    listed = fields.get("data") or fields.get("models")
    if not isinstance(listed, list):
        return None
    each = [object_in(item) or {} for item in cast("list[Any]", listed)]
    names = [str(item.get("id") or item.get("name") or "") for item in each]
    return [name.removeprefix("models/") for name in names if name]


async def _ask(found: ProviderCheck) -> None:
    teacher = found.teacher
    fields = _wanted(teacher)
    async with open_transport(teacher) as transport:
        for _ in range(_TRIES):
            request = RequestForm(teacher.endpoint, teacher.model, fields).request("", _QUESTION)
            started_s = time.monotonic()
            try:
                answer, headers = await transport.ask(request)
            except FormatRefused as error:
                refused = ["response_format"]
                found.add("structured", "refused", str(error))
            except ParameterRefused as error:
                refused = [name for name in fields if name.startswith(error.name.split(".")[0])]
                refused += ["top_logprobs"] if "logprobs" in refused else []
                if not refused:
                    raise
                found.add(error.name, "refused", str(error))
            else:
                _judge(found, answer, fields, headers, time.monotonic() - started_s)
                return
            fields = {name: value for name, value in fields.items() if name not in refused}
    raise TeacherError(f"{teacher.model} refuses whatever it is asked: {found.results[-1].words}")


def _wanted(teacher: TeacherSpec) -> dict[str, JsonValue]:
    provider = teacher.provider
    fields: dict[str, JsonValue] = {}
    if provider.structured is not None:
        fields["response_format"] = response_format(_LABEL)
    if provider.logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": min(5, provider.logprobs)}
    return teacher.options.apply(fields)


def _judge(
    found: ProviderCheck,
    answer: Answer,
    fields: Mapping[str, JsonValue],
    headers: Mapping[str, str],
    took_s: float,
) -> None:
    usage, ended = answer.usage, "" if answer.ending == "whole" else f", {answer.ending}"
    counted = f"{usage.prompt:,} + {usage.completion:,} tokens" if usage.is_whole else "no count"
    found.add("answer", "works", f"{answer.model} in {took_s:.1f} s, {counted}{ended}")
    if "response_format" in fields:
        is_json = is_object(answer.words)
        words = "JSON as it was asked for" if is_json else "it is taken, and the answer is text"
        found.add("structured", "works" if is_json else "ignored", words)
    if "logprobs" in fields:
        is_told = answer.logprobs is not None
        words = "how probable each token is" if is_told else "they are taken, and none are told"
        found.add("logprobs", "works" if is_told else "ignored", words)
    if usage.reasoning or answer.thoughts:
        thought = f"{answer.thinking:,} tokens of it are thoughts"
        found.add("reasoning", "works", thought)
    limits = RateLimiter(RateLimits(), time.monotonic)
    limits.heed(headers)
    named = (("requests", limits.requests.per_minute), ("tokens", limits.tokens.per_minute))
    each = [f"{limit:,.0f} {what} a minute" for what, limit in named if limit is not None]
    words = ", ".join(each) or "none is named in the reply's headers"
    found.add("limits", "works" if each else "not named", words)
    if answer.cost_usd is not None:
        found.add("cost", "works", f"the reply says {answer.cost_usd:.6f} USD")
    provider = found.teacher.provider
    if provider.name:
        batch = f"as {provider.batch} has them" if provider.batch else "none"
        found.add("batches", "not tried" if provider.batch else "not offered", batch)
