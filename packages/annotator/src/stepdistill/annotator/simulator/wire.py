"""The chat completions protocol as plain functions: requests read, replies and errors written."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import orjson

CREATED_S = 1_700_000_000  # fixed, so that the same request always gets the same bytes
INVALID = "invalid_request_error"  # the type of most errors
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A refusal: its HTTP status and the parts of OpenAI's error body."""

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None  # the part of the request that is wrong

    def body(self) -> bytes:
        """The JSON body."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return orjson.dumps({"error": error})


class RefusedRequest(Exception):
    """A request that cannot be served, with the reply to that."""

    def __init__(self, error: ErrorReply, retry_after_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after_s = retry_after_s


def invalid(
    message: str, param: str | None = None, code: str | None = None, status: int = 400
) -> RefusedRequest:
    """A refusal of what was sent, as OpenAI words it."""
    return RefusedRequest(ErrorReply(status, INVALID, message, code, param))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What the simulator needs of a request that it could read."""

    body: Mapping[str, object]
    model: str
    prompt_tokens: int
    max_tokens: int | None  # None: no limit


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """The teacher's text as it goes out, after any cut."""

    text: str
    tokens: int
    finish_reason: Literal["stop", "length", "content_filter"]
    stop: str | None = None  # the text that ended it, of those that it was to end at


def read_object(raw: bytes) -> dict[str, object]:
    """The JSON object in these bytes; raises RefusedRequest."""
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise invalid("The JSON body of your request must be an object.")
    return cast(dict[str, object], body)


def read_chat(body: dict[str, object]) -> ChatRequest:
    """The chat request in a body; raises RefusedRequest as OpenAI would refuse it."""
    model, limit = body.get("model"), _max_tokens(body)
    if not isinstance(model, str) or not model:
        raise invalid("you must provide a model parameter")
    if not body.get("messages"):
        raise missing("messages")
    messages = read_messages(body["messages"])
    if body.get("stream"):
        raise invalid("The simulator does not stream.", "stream")
    if limit is not None and limit < 1:
        raise invalid("max_tokens must be at least 1.", "max_tokens")
    tokens = token_count(sum(len(text) for _, text in messages))
    return ChatRequest(body=body, model=model, prompt_tokens=tokens, max_tokens=limit)


def _max_tokens(body: Mapping[str, object]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):  # its new and its old name
        limit = body.get(name)
        if isinstance(limit, int):
            return limit
    return None


def missing(param: str) -> RefusedRequest:
    """A refusal for a field that is not there."""
    code = "missing_required_parameter"
    return invalid(f"Missing required parameter: '{param}'.", param, code)


def read_messages(messages: object) -> list[tuple[str, str]]:
    """(role, text) of every message; raises RefusedRequest where something is no message."""
    if not isinstance(messages, list):
        raise invalid("'messages' must be a list.", "messages")
    return [_read_message(message) for message in cast(list[object], messages)]


def _read_message(message: object) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise invalid("Every message must be an object.", "messages")
    fields = cast(dict[str, object], message)
    role, content = fields.get("role"), fields.get("content")
    if not isinstance(role, str):
        raise invalid("Every message needs a 'role'.", "messages")
    if isinstance(content, list):
        return role, "".join(_text_parts(cast(list[object], content)))
    if not isinstance(content, str):
        raise invalid("Every message needs a 'content' of text.", "messages")
    return role, content


def _text_parts(parts: Iterable[object]) -> Iterable[str]:
    for part in parts:
        text = cast(dict[str, object], part).get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise invalid("Every part of a 'content' must be text.", "messages")
        yield text


def prompt_digest(messages: Iterable[tuple[str, str]]) -> bytes:
    """16 bytes that name a prompt: roles and texts, in order."""
    return hashlib.blake2b(orjson.dumps(list(messages)), digest_size=16).digest()


def body_digest(raw: bytes) -> bytes:
    """16 bytes that name a request body as it came."""
    return hashlib.blake2b(raw, digest_size=16).digest()


def token_count(characters: int) -> int:
    """About how many tokens so many characters are: four a token, rounded up."""
    return -(-characters // _CHARS_PER_TOKEN)


def cut_answer(text: str, limit: int | None) -> ChatAnswer:
    """The answer as far as the limit in tokens lets it go."""
    tokens = token_count(len(text))
    if limit is None or tokens <= limit:
        return ChatAnswer(text=text, tokens=tokens, finish_reason="stop")
    return ChatAnswer(text=text[: limit * _CHARS_PER_TOKEN], tokens=limit, finish_reason="length")


def stopped_at(text: str, stops: object) -> tuple[str, str | None]:
    """The text up to the first of these, a text or a list of them, and which that is."""
    listed = cast("list[object]", stops) if isinstance(stops, list) else [stops]
    wanted = [each for each in listed if isinstance(each, str) and each]
    found = [(text.index(each), each) for each in wanted if each in text]
    place, stop = min(found, default=(len(text), None))
    return text[:place], stop


def completion(
    request: ChatRequest,
    answer: ChatAnswer,
    ident: str,
    logprobs: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """A chat.completion object with usage, ready to be written as JSON."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": answer.finish_reason,
        # As vLLM tells it; OpenAI does not.
        **({"stop_reason": answer.stop} if answer.stop else {}),
    }
    tier = request.body.get("service_tier")
    return {
        **({"service_tier": tier} if isinstance(tier, str) else {}),
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion",
        "created": CREATED_S,
        "model": request.model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": request.prompt_tokens,
            "completion_tokens": answer.tokens,
            "total_tokens": request.prompt_tokens + answer.tokens,
        },
    }
