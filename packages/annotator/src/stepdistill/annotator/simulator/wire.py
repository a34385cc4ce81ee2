"""The chat completions protocol as plain functions: requests read, replies and errors written."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import orjson

CREATED_S = 1_700_000_000  # fixed, so that the same request always gets the same bytes
_CHARS_PER_TOKEN = 4

FinishReason = Literal["stop", "length", "content_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """A refusal: its HTTP status and the parts of OpenAI's error body."""

    status: int
    message: str
    type: str
    code: str | None = None
    param: str | None = None

    def body(self) -> bytes:
        """The JSON body."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return orjson.dumps({"error": error})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What the simulator needs of a request that it could read; max_tokens None means no limit."""

    body: Mapping[str, object]
    model: str
    prompt_tokens: int
    max_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatAnswer:
    """The teacher's text as it goes out, after any cut, with its length in tokens."""

    text: str
    tokens: int
    finish_reason: FinishReason


def read_chat(raw: bytes) -> ChatRequest | ErrorReply:
    """The request in these bytes, or what OpenAI would answer to bytes that are none."""
    try:
        body: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _invalid("We could not parse the JSON body of your request.")
    if not isinstance(body, dict):
        return _invalid("The JSON body of your request must be an object.")
    return read_body(cast(dict[str, object], body))


def read_body(body: dict[str, object]) -> ChatRequest | ErrorReply:
    """The request in a body that is JSON, or what OpenAI would answer to one that is none."""
    model, limit = body.get("model"), max_tokens_of(body)
    if not isinstance(model, str) or not model:
        return _invalid("you must provide a model parameter")
    if not body.get("messages"):
        return _missing("messages")
    try:
        said = read_messages(body["messages"])
    except ValueError as error:
        return _invalid(str(error), "messages")
    if body.get("stream"):
        return _invalid("The simulator does not stream.", "stream")
    if limit is not None and limit < 1:
        return _invalid("max_tokens must be at least 1.", "max_tokens")
    tokens = token_count(sum(len(text) for _, text in said))
    return ChatRequest(body=body, model=model, prompt_tokens=tokens, max_tokens=limit)


def read_messages(messages: object) -> list[tuple[str, str]]:
    """(role, text) of every message; raises ValueError where something is no message."""
    if not isinstance(messages, list):
        raise ValueError("'messages' must be a list.")
    return [_read_message(message) for message in cast(list[object], messages)]


def _read_message(message: object) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise ValueError("Every message must be an object.")
    fields = cast(dict[str, object], message)
    role, content = fields.get("role"), fields.get("content")
    if not isinstance(role, str):
        raise ValueError("Every message needs a 'role'.")
    if isinstance(content, list):
        return role, "".join(_text_parts(cast(list[object], content)))
    if not isinstance(content, str):
        raise ValueError("Every message needs a 'content' of text.")
    return role, content


def _text_parts(parts: Iterable[object]) -> Iterable[str]:
    for part in parts:
        text = cast(dict[str, object], part).get("text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            raise ValueError("Every part of a 'content' must be text.")
        yield text


def prompt_digest(messages: Iterable[tuple[str, str]]) -> bytes:
    """16 bytes that name a prompt: roles and texts, in order."""
    return hashlib.blake2b(orjson.dumps(list(messages)), digest_size=16).digest()


def body_digest(raw: bytes) -> bytes:
    """16 bytes that name a request body as it came."""
    return hashlib.blake2b(raw, digest_size=16).digest()


def max_tokens_of(body: Mapping[str, object]) -> int | None:
    """The limit in tokens under its new or its old name; None where there is none."""
    for name in ("max_completion_tokens", "max_tokens"):
        limit = body.get(name)
        if isinstance(limit, int):
            return limit
    return None


def token_count(characters: int) -> int:
    """About how many tokens so many characters are: four a token, rounded up."""
    return -(-characters // _CHARS_PER_TOKEN)


def cut_answer(text: str, limit: int | None) -> ChatAnswer:
    """The answer as far as the limit in tokens lets it go."""
    tokens = token_count(len(text))
    if limit is None or tokens <= limit:
        return ChatAnswer(text=text, tokens=tokens, finish_reason="stop")
    return ChatAnswer(text=text[: limit * _CHARS_PER_TOKEN], tokens=limit, finish_reason="length")


def completion(request: ChatRequest, answer: ChatAnswer, ident: str) -> dict[str, object]:
    """A chat.completion object with usage, ready to be written as JSON."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    return {
        "id": f"chatcmpl-{ident}",
        "object": "chat.completion",
        "created": CREATED_S,
        "model": request.model,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": answer.finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": request.prompt_tokens,
            "completion_tokens": answer.tokens,
            "total_tokens": request.prompt_tokens + answer.tokens,
        },
    }


def _invalid(message: str, param: str | None = None) -> ErrorReply:
    return ErrorReply(status=400, message=message, type="invalid_request_error", param=param)


def _missing(param: str) -> ErrorReply:
    return ErrorReply(
        status=400,
        message=f"Missing required parameter: '{param}'.",
        type="invalid_request_error",
        code="missing_required_parameter",
        param=param,
    )
