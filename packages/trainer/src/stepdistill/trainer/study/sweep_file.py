"""A sweep's file: which runs it asks for, each with its settings, its key and its folder."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.common.errors import ConfigError, DistillError
from stepdistill.common.shards import read_manifest
from stepdistill.common.urls import Place, is_url, place_of
from stepdistill.trainer.errors import first_problem, refused
from stepdistill.trainer.settings.train import TrainSettings, parse

Scalar = str | int | float | bool
Value = Scalar | list[Scalar]
Options = dict[str, Value]
Grid = dict[str, list[Value] | dict[str, Options]]

_PATHS = ("train", "valid", "test", "cot", "tasks", "cache")
_MANY = ("train", "valid", "test", "track")
_NOT_HERE = ("output", "force", "quiet", "config")
_KEY_LETTERS = 8
_LONGEST_NAME = 80


_OTHERS = [f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float", "null", "timestamp")]


class _Names(yaml.SafeLoader):
    """YAML whose keys are text as it is written: `no`, `1.0` and `on` are names there."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if key.tag in _OTHERS:
                key.tag = "tag:yaml.org,2002:str"
        return super().construct_mapping(node, deep)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    output: Path
    options: Options = {}
    grid: Grid | list[Grid] = {}
    runs: list[Options] = []

    @property
    def grids(self) -> list[Grid]:
        return self.grid if isinstance(self.grid, list) else [self.grid]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of a sweep."""

    choices: dict[str, str]  # what tells it from the others, as words
    options: Options  # as the training command takes them, without --output
    config: TrainSettings
    key: str  # of settings and data: the same run has the same one, wherever it lies
    folder: Path

    @property
    def name(self) -> str:
        """The choices in one line."""
        return ", ".join(_in_words(axis, choice) for axis, choice in self.choices.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """All runs of a file."""

    name: str
    runs: tuple[PlannedRun, ...]  # each once, in the file's order
    repeated: int  # runs that stood there again


def read_sweep(path: Path) -> Sweep:
    """The sweep in a YAML file; paths in it are relative to it. Raises DistillError."""
    file = _read(path)
    output = path.parent / file.output
    runs: dict[str, PlannedRun] = {}
    asked = list(_asked(path, file))
    for number, (choices, given) in enumerate(asked, 1):
        try:
            run = _planned(path.parent, output, choices, given)
        except DistillError as error:
            raise ConfigError(f"{path}: run {number}: {error}") from None
        runs.setdefault(run.key, run)
    if not runs:
        raise ConfigError(f"{path}: asks for no run: give it a `grid` or `runs`")
    return Sweep(name=path.stem, runs=tuple(runs.values()), repeated=len(asked) - len(runs))


def _read(path: Path) -> _File:
    try:
        with refused(path, "read"):
            content = path.read_text(encoding="utf-8")
            return _File.model_validate(yaml.load(content, _Names))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path}: no YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ConfigError(
            f"{path}: {first_problem(error)}; `stepdistill sweep --help` shows an example"
        ) from None


def _asked(path: Path, file: _File) -> Iterator[tuple[dict[str, str], Options]]:
    """(choices, options) of every run, as the file orders them."""
    for entry in itertools.chain(*map(_combinations, file.grids), file.runs):
        options = dict(file.options)
        for axis, choice in entry.items():
            options |= _options_of(path, file, axis, choice)
        yield {axis: _word(choice) for axis, choice in entry.items()}, options


def _combinations(grid: Grid) -> Iterator[Options]:
    """Of no axes none, though mathematics would say one."""
    if grid:
        for combination in itertools.product(*(list[Value](axis) for axis in grid.values())):
            yield dict(zip(grid, combination, strict=True))


def _options_of(path: Path, file: _File, axis: str, choice: Value) -> Options:
    named: dict[str, Options] = {}
    for grid in file.grids:  # a run may name a choice of whichever grid
        choices = grid.get(axis)
        named |= choices if isinstance(choices, dict) else {}
    if not named:
        return {axis: choice}
    if not isinstance(choice, str) or choice not in named:
        hint = "" if isinstance(choice, str) else "; put it in quotes, if YAML took it for that"
        raise ConfigError(f"{path}: {axis}: {choice} is none of {', '.join(named)}{hint}")
    return named[choice]


def _planned(home: Path, output: Path, choices: dict[str, str], given: Options) -> PlannedRun:
    options = {name.replace("-", "_"): value for name, value in given.items()}
    for name in _NOT_HERE:
        if name in options:
            raise ConfigError(f"{name}: is the sweep's own, leave it out")
    for name in _MANY:
        if name in options and not isinstance(options[name], list):
            options[name] = [str(options[name])]
    placed = _placed(home, options)
    # The key takes the model as it is written: where a folder lies must not make another run of it.
    written = {name: options[name] for name in ("model",) if name in options}
    config = parse(words_of({**placed, **written, "output": str(output)}))
    key = _key(config.identity(), placed)
    folder = _folder(output, choices, key)
    config = replace(config, output=folder, model=str(placed["model"]))
    return PlannedRun(choices=choices, options=placed, config=config, key=key, folder=folder)


def words_of(options: Options) -> list[str]:
    """Options of a training run as they stand on its command line."""
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, list):
            words += [option, *map(str, value)]
        elif value is True:
            words.append(option)
        elif value is not False:
            words += [option, str(value)]
    return words


def _placed(home: Path, options: Options) -> Options:
    """The options with paths as seen from here, and a model that is a folder there by its place."""
    placed = dict(options)
    for name in _PATHS:
        value = options.get(name)
        if isinstance(value, list):
            placed[name] = [_path_of(home, str(path)) for path in value]
        elif value is not None:
            placed[name] = _path_of(home, str(value))
    model = home / str(options.get("model"))
    if model.is_dir():
        placed["model"] = str(model.resolve())
    return placed


def _key(settings: Mapping[str, object], options: Options) -> str:
    """sha256 of the settings and of what the data are: where they lie makes no other run."""
    data: dict[str, list[object]] = {}
    for name in ("train", "valid", "test"):
        if isinstance(folders := options.get(name), list):
            data[name] = [_content(place_of(str(folder))) for folder in folders]
    cot = _sha256(Path(str(options["cot"]))) if "cot" in options else ""
    whole = {"settings": settings, "data": data, "cot": cot}
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _path_of(home: Path, word: str) -> str:
    return word if is_url(word) else str(home / word)


def _content(path: Place) -> object:
    """What decides of a folder of shards, or of a file."""
    if isinstance(path, Path) and path.is_file():
        return _sha256(path)
    manifest = read_manifest(path)
    shards = [shard.sha256 for shard in manifest.shards]
    return [shards, manifest.student.input, manifest.label.kind]


def _sha256(path: Path) -> str:
    with refused(path, "read"):
        return hashlib.sha256(path.read_bytes()).hexdigest()


def _folder(output: Path, choices: Mapping[str, str], key: str) -> Path:
    """The run's folder: one that bears its key, however it is called, else one with a new name."""
    mark = key[:_KEY_LETTERS]
    for found in sorted(output.glob(f"*{mark}")):
        return found
    words = (_in_words(axis, choice) for axis, choice in choices.items())
    name = "_".join(re.sub(r"[^\w.-]+", "-", word).strip("-") for word in words)
    return output / f"{name[:_LONGEST_NAME]}_{mark}"


def _in_words(axis: str, choice: str) -> str:
    """`distilled`, but `seed 1`: a number alone says nothing."""
    return f"{axis} {choice}" if re.fullmatch(r"[\d.e+-]+|true|false", choice) else choice


def _word(choice: Value) -> str:
    if isinstance(choice, bool):
        return str(choice).lower()
    return " ".join(map(str, choice)) if isinstance(choice, list) else str(choice)
