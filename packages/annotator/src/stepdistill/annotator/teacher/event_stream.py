"""Event streams that nobody asked for, of the dialects beside chat: what came in pieces, as the
reply that it amounts to. A gateway that always streams sends such.

data: {"candidates": [...]}                          Gemini, also as the items of a list
data: {"type": "response.completed", "response"}     OpenAI's Responses
data: {"type": "content_block_delta", "delta": ...}  Anthropic
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from stepdistill.annotator.errors import Unreadable
from stepdistill.annotator.teacher.body import object_in

_Fields = Mapping[str, Any]
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_GROWING = ("text", "thinking")  # fields of Anthropic's blocks, by which their deltas are named


def joined(pieces: Sequence[_Fields]) -> _Fields | None:
    """The reply in its pieces; None where they are of no dialect that is known here. Raises
    Unreadable: it breaks off before its end."""
    if any("candidates" in piece for piece in pieces):
        return _of_gemini(pieces)
    kinds = {str(piece.get("type")): piece for piece in pieces}
    if end := next((kinds[kind] for kind in _ENDS if kind in kinds), None):
        return object_in(end.get("response"))
    if "message_start" in kinds:
        return _of_anthropic(pieces, object_in(kinds["message_start"].get("message")) or {})
    if any(kind.startswith("response.") for kind in kinds):
        raise _broken_off()
    return None


def _of_gemini(pieces: Sequence[_Fields]) -> _Fields:
    reply, parts, finish = dict[str, Any](), list[Any](), None
    for piece in pieces:
        reply |= piece
        candidates = piece.get("candidates")
        for candidate in cast("list[Any]", candidates if isinstance(candidates, list) else [])[:1]:
            fields = object_in(candidate) or {}
            said = (object_in(fields.get("content")) or {}).get("parts")
            parts += cast("list[Any]", said) if isinstance(said, list) else []
            finish = fields.get("finishReason") or finish
    if finish is None:
        raise _broken_off()
    return {**reply, "candidates": [{"content": {"parts": parts}, "finishReason": finish}]}


def _of_anthropic(pieces: Sequence[_Fields], start: _Fields) -> _Fields:
    message, blocks = dict(start), dict[Any, dict[str, Any]]()
    for piece in pieces:
        delta = object_in(piece.get("delta")) or {}
        match piece.get("type"):
            case "content_block_start":
                blocks[piece.get("index")] = {**(object_in(piece.get("content_block")) or {})}
            case "content_block_delta":
                block = blocks.setdefault(piece.get("index"), {"type": "text"})
                for name in _GROWING:
                    if isinstance(more := delta.get(name), str):
                        block[name] = str(block.get(name) or "") + more
            case "message_delta":
                message |= delta
                used = (object_in(each.get("usage")) or {} for each in (message, piece))
                message["usage"] = {name: n for each in used for name, n in each.items()}
            case _:
                pass
    if not message.get("stop_reason"):
        raise _broken_off()
    return {**message, "content": list(blocks.values())}


def _broken_off() -> Unreadable:
    return Unreadable("the reply is an event stream that nobody asked for, and it breaks off")
