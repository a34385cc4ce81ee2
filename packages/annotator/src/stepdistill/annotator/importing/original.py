"""Importing the original's files: templates, mixes and query results of the 2023 thesis code.

    SRC/prompt-templates/<task>.yaml                      -> PROMPTS/<task>/templates-original.yaml
    SRC/prompt-mixes/<n>.yaml                             -> PROMPTS/<task>/mixes/original-<n>.yaml
    SRC/query-results/<task>/<split>/<id>/responses.json  -> the store, as answers of gpt-3.5-turbo

An answer is stored under the very request that its recorded prompt was, so an edited template never
gets an older template's answers. Underscores or hyphens in the folders' names, and gzip, are fine.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.dataset.files import open_bytes
from stepdistill.annotator.importing.files import (
    OriginalTemplate,
    QueryResult,
    as_template,
    folder_of,
    read_any_yaml,
    read_templates,
)
from stepdistill.annotator.money.tokens import count_tokens
from stepdistill.annotator.plan.key import RequestForm, endpoint_of
from stepdistill.annotator.prompt.mix import Mix
from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import DatasetError, PromptError

MODEL = "gpt-3.5-turbo"
_ENDPOINT = endpoint_of("https://api.openai.com/v1")
# Autumn 2023; the day decides the price only.
_ASKED_AT = 1_696_118_400
_TOKENS_OF_THE_FRAME = 10
_PER_COMMIT = 1000


class _OriginalMix(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    label: dict[int, float]
    explanation: dict[int, float]


@dataclass(slots=True, kw_only=True)
class Imported:
    """What came in. answers: (task, split) -> stored. skipped: what was not, and why."""

    templates: dict[str, int] = field(default_factory=dict[str, int])
    mixes: dict[str, int] = field(default_factory=dict[str, int])
    answers: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    skipped: list[str] = field(default_factory=list[str])


def import_original(src: Path, prompts: Path, own_prompts: Path, store: ResponseStore) -> Imported:
    """Bring everything in; doing it again changes nothing. Raises DatasetError, PromptError."""
    files = sorted(folder_of(src, "prompt-templates").glob("*.yaml"))
    if not files:
        raise DatasetError(f"{src}: no prompt-templates/*.yaml here: is it the original's folder?")
    done = Imported()
    for path in files:
        task = path.stem
        originals = read_templates(path)
        _write_templates(prompts, own_prompts, task, originals)
        done.templates[task] = len(originals)
        done.mixes[task] = _import_mixes(src, prompts, task, originals)
        _import_answers(src, task, originals, store, done)
    return done


def _write_templates(
    prompts: Path, own: Path, task: str, originals: dict[int, OriginalTemplate]
) -> None:
    folder = prompts / task
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("task.yaml", "templates.yaml", "mixes/default.yaml"):
        source = own / task / name
        if source.exists() and not (folder / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(source.read_bytes())
    templates = [as_template(original) for original in originals.values()]
    content = {"templates": [t.model_dump(exclude_defaults=True) for t in templates]}
    _write_yaml(folder / "templates-original.yaml", content)


def _import_mixes(
    src: Path, prompts: Path, task: str, originals: dict[int, OriginalTemplate]
) -> int:
    """The mixes whose templates this task has; the original's mixes belong to no task."""
    n = 0
    for path in sorted(folder_of(src, "prompt-mixes").glob("*.yaml")):
        mix = _original_mix(path)
        if mix.label.keys() | mix.explanation.keys() <= originals.keys():
            own = _own_mix(path, mix)
            folder = prompts / task / "mixes"
            folder.mkdir(exist_ok=True)
            _write_yaml(folder / f"original-{path.stem}.yaml", own.model_dump())
            n += 1
    return n


def _own_mix(path: Path, mix: _OriginalMix) -> Mix:
    try:
        return Mix(
            seed=mix.seed,
            assignment="original",
            label={str(key): share for key, share in mix.label.items()},
            rationale={str(key): share for key, share in mix.explanation.items()},
        )
    except ValidationError as error:
        raise PromptError(f"{path}: {error.errors()[0]['msg']}") from None


def _original_mix(path: Path) -> _OriginalMix:
    try:
        return _OriginalMix.model_validate(read_any_yaml(path))
    except ValidationError as error:
        raise PromptError(
            f"{path}: not the original's mix ({str(error).splitlines()[0]})"
        ) from None


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _import_answers(
    src: Path,
    task: str,
    originals: dict[int, OriginalTemplate],
    store: ResponseStore,
    done: Imported,
) -> None:
    for path in sorted(folder_of(src, "query-results").glob(f"{task}/*/*/responses.json*")):
        split = path.parent.parent.name
        answers = _answers(path, originals, done)
        try:
            while chunk := list(islice(answers, _PER_COMMIT)):
                store.put(chunk, [])
                done.answers[task, split] = done.answers.get((task, split), 0) + len(chunk)
        except (EOFError, OSError, zlib.error) as error:
            raise DatasetError(f"{path}: cannot be read to its end ({error})") from None


def _answers(
    path: Path, originals: dict[int, OriginalTemplate], done: Imported
) -> Iterator[tuple[bytes, Answer]]:
    form = RequestForm(_ENDPOINT, MODEL, options={})
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            try:
                result = QueryResult.model_validate(orjson.loads(line))
            except (orjson.JSONDecodeError, ValidationError):
                done.skipped.append(f"{path} line {number}: not a query result")
                continue
            original = originals.get(result.prompt_template_id)
            user = original and _user_part(original, result.complete_prompt)
            if original is None or user is None:
                done.skipped.append(
                    f"{path} line {number}: its prompt is not one of its template's"
                )
                continue
            yield form.request(original.system_message, user).key, _answer(result)


def _user_part(original: OriginalTemplate, prompt: str) -> str | None:
    """The user message in a recorded prompt: what follows the system message and its separator,
    a line break, in the oldest runs a blank."""
    rest = prompt.removeprefix(original.system_message)
    if not prompt.startswith(original.system_message) or rest[:1] not in ("\n", " "):
        return None
    return rest[1:]


def _answer(result: QueryResult) -> Answer:
    usage = Usage(
        prompt=count_tokens(result.complete_prompt) + _TOKENS_OF_THE_FRAME,
        completion=count_tokens(result.response),
    )
    return Answer(
        text=result.response,
        finish="stop",
        model=MODEL,
        usage=usage,
        mode="import",
        asked_at=_ASKED_AT,
    )
