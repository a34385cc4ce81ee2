"""The original's files (the thesis code of 2023): how they are laid out, and how they are imported.

    SRC/prompt-templates/<task>.yaml                      -> PROMPTS/<task>/templates-original.yaml
    SRC/prompt-mixes/<n>.yaml                             -> PROMPTS/<task>/mixes/original-<n>.yaml
    SRC/query-results/<task>/<split>/<id>/responses.json  -> the store, as answers of gpt-3.5-turbo

Folders may be named with underscores or hyphens, and files may be gzipped.
"""

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import islice
from pathlib import Path

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from stepdistill.annotator.money.tokens import count_tokens
from stepdistill.annotator.plan.key import RequestForm, endpoint_of
from stepdistill.annotator.prompt.mix import Mix
from stepdistill.annotator.prompt.template import OriginalParse, Template
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.store.answer import Answer, Usage
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.common.errors import DatasetError, PromptError
from stepdistill.common.files.text_file import open_bytes

MODEL = "gpt-3.5-turbo"
_ENDPOINT = endpoint_of("https://api.openai.com/v1")
_ASKED_AT = 1_696_118_400  # seconds since 1970, autumn 2023; the day decides the price only
_CHAT_FRAME_TOKENS = 10  # what the original added to every prompt for the chat's markup
_ANSWERS_PER_COMMIT = 1000

RecordedNumbers = dict[str, dict[str, int | float]]  # section -> field -> number


class _OriginalModel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class OriginalTemplate(_OriginalModel):
    """One template of the original."""

    id: int
    system_message: str = ""
    user_message: str
    label_parse: str  # regex for the label
    explanation_parse: str  # regex for the rationale
    swap: bool = False  # whether the rationale's regex comes first

    @property
    def words(self) -> tuple[str, str]:
        """What it asks."""
        return self.system_message, self.user_message

    def as_template(self, sample: int = 0) -> Template:
        """The same words and regexes as a template of this project. sample: which asking of these
        words it is."""
        parse = OriginalParse(
            label_parse=self.label_parse, explanation_parse=self.explanation_parse, swap=self.swap
        )
        return Template(
            id=str(self.id),
            system=self.system_message,
            user=self.user_message,
            sample=sample,
            original=parse,
        )


class QueryResult(_OriginalModel):
    """One recorded answer."""

    split: str
    idx: int  # number of the row in its split
    prompt_template_id: int
    prompt_values: dict[str, str | int | float | None] = {}  # the row's values by placeholder
    complete_prompt: str  # system message, a separator, user message
    response: str

    @property
    def fields(self) -> dict[str, str]:
        """The row's texts by placeholder."""
        return {name: str(value) for name, value in self.prompt_values.items()}

    @property
    def usage(self) -> Usage:
        """Tokens as the original counted them; no server's count was recorded."""
        return Usage(
            prompt=count_tokens(self.complete_prompt) + _CHAT_FRAME_TOKENS,
            completion=count_tokens(self.response),
        )


class _TemplatesFile(_OriginalModel):
    templates: dict[int, OriginalTemplate]


class _MixFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = 1
    label: dict[int, float]  # template -> share of the rows
    explanation: dict[int, float]


@dataclass(slots=True, kw_only=True)
class Imported:
    """What was imported."""

    templates: dict[str, int] = field(default_factory=dict[str, int])  # task -> how many
    mixes: dict[str, int] = field(default_factory=dict[str, int])  # task -> how many
    # (task, split) -> how many
    answers: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    skipped: list[str] = field(default_factory=list[str])  # a line for each answer left out, why


def original_folder(src: Path, name: str) -> Path:
    """A folder of the original's, with underscores or hyphens in its name."""
    underscored = src / name.replace("-", "_")
    return underscored if underscored.is_dir() else src / name


def read_templates(path: Path) -> dict[int, OriginalTemplate]:
    """The templates of a task by id. Raises PromptError."""
    return read_yaml(path, _TemplatesFile).templates


def read_recorded(path: Path) -> dict[int, RecordedNumbers]:
    """A `prompt-metadata` file: the numbers recorded for each template. Raises PromptError."""
    return read_yaml(path, RootModel[dict[int, RecordedNumbers]]).root


def import_original(src: Path, prompts: Path, own_prompts: Path, store: ResponseStore) -> Imported:
    """Import everything; to do it again changes nothing. Raises DatasetError, PromptError.

    prompts: where templates and mixes go, and tasks out of own_prompts that are missing there.
    """
    files = sorted(original_folder(src, "prompt-templates").glob("*.yaml"))
    if not files:
        raise DatasetError(f"{src}: no prompt-templates/*.yaml here: is it the original's folder?")
    imported = Imported()
    for path in files:
        task, originals = path.stem, read_templates(path)
        _copy_task(own_prompts / task, prompts / task)
        samples = _samples(originals)
        templates = [each.as_template(samples[name]) for name, each in originals.items()]
        content = {"templates": [each.model_dump(exclude_defaults=True) for each in templates]}
        _write_yaml(prompts / task / "templates-original.yaml", content)
        imported.templates[task] = len(originals)
        imported.mixes[task] = _import_mixes(src, prompts / task / "mixes", originals)
        _import_answers(src, task, originals, store, imported)
    return imported


def _samples(originals: Mapping[int, OriginalTemplate]) -> dict[int, int]:
    """By template: how many before it have its very words. The original asked all of them, so each
    answer is kept as another sample of the same question."""
    seen: Counter[tuple[str, str]] = Counter()
    samples: dict[int, int] = {}
    for name, each in originals.items():
        samples[name] = seen[each.words]
        seen[each.words] += 1
    return samples


def _copy_task(source: Path, folder: Path) -> None:
    """Copy what is missing of a task; a file that somebody has edited there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("task.yaml", "templates.yaml", "mixes/default.yaml"):
        if (source / name).exists() and not (folder / name).exists():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes((source / name).read_bytes())


def _import_mixes(src: Path, folder: Path, originals: Mapping[int, OriginalTemplate]) -> int:
    """Write the mixes whose templates this task has: the original's mixes name no task."""
    n = 0
    for path in sorted(original_folder(src, "prompt-mixes").glob("*.yaml")):
        mix = read_yaml(path, _MixFile)
        if mix.label.keys() | mix.explanation.keys() <= originals.keys():
            folder.mkdir(exist_ok=True)
            _write_yaml(folder / f"original-{path.stem}.yaml", _own_mix(path, mix).model_dump())
            n += 1
    return n


def _own_mix(path: Path, mix: _MixFile) -> Mix:
    try:
        return Mix(
            seed=mix.seed,
            assignment="original",
            label={str(key): share for key, share in mix.label.items()},
            rationale={str(key): share for key, share in mix.explanation.items()},
        )
    except ValidationError as error:
        raise PromptError(f"{path}: {error.errors()[0]['msg']}") from None


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")


def _import_answers(
    src: Path,
    task: str,
    originals: Mapping[int, OriginalTemplate],
    store: ResponseStore,
    imported: Imported,
) -> None:
    files = original_folder(src, "query-results").glob(f"{task}/*/*/responses.json*")
    for path in sorted(files):
        split = path.parent.parent.name
        answers = _answers(path, originals, imported.skipped)
        try:
            while chunk := list(islice(answers, _ANSWERS_PER_COMMIT)):
                store.put(chunk, [])
                imported.answers[task, split] += len(chunk)
        except (EOFError, OSError, zlib.error) as error:
            raise DatasetError(f"{path}: cannot be read to its end ({error})") from None


def _answers(
    path: Path, originals: Mapping[int, OriginalTemplate], skipped: list[str]
) -> Iterator[tuple[bytes, Answer]]:
    """The answers of a file, each under the key of the request that its recorded prompt was: so an
    edited template never gets an older template's answers. A prompt that a template was asked with
    again is the next sample that no template of the same words begins with."""
    samples = _samples(originals)
    n_twins = max(samples.values(), default=0) + 1
    form_of = cache(partial(RequestForm, _ENDPOINT, MODEL, {}))
    askings: dict[tuple[int, str], list[tuple[int, str]]] = defaultdict(list)
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path} line {number}"
            try:
                result = QueryResult.model_validate(orjson.loads(line))
            except (orjson.JSONDecodeError, ValidationError):
                skipped.append(f"{where}: not a query result")
                continue
            original = originals.get(result.prompt_template_id)
            user = original and _user_part(original, result.complete_prompt)
            if original is None or user is None:
                skipped.append(f"{where}: its prompt is not one of its template's")
                continue
            answer = Answer(
                text=result.response,
                finish="stop",
                model=MODEL,
                usage=result.usage,
                mode="import",
                asked_at=_ASKED_AT,
            )
            before = askings[original.id, user]
            if (result.idx, result.response) in before:
                skipped.append(f"{where}: the same answer again")
                continue
            form = form_of(samples[original.id] + len(before) * n_twins)
            before.append((result.idx, result.response))
            yield form.request(original.system_message, user).key, answer


def _user_part(original: OriginalTemplate, prompt: str) -> str | None:
    """The user message in a recorded prompt; None where the prompt has another system message."""
    rest = prompt.removeprefix(original.system_message)
    # The separator is a line break, in the oldest runs a blank.
    if not prompt.startswith(original.system_message) or rest[:1] not in ("\n", " "):
        return None
    return rest[1:]
