"""What both command lines share: settings as options, a settings file, errors in one line.

An option is said once, on the field of a settings class that holds it: its type, bounds, default,
and, as the docstring below the field, its help with the unit. A command takes such a class:

    @options("Rows", 2)
    class RowSettings(Settings):
        samples: Annotated[int | None, at_least(1)] = None
        \"""Only the first N rows of each split.\"""
"""

import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, dataclass_transform, get_args

import cyclopts
import cyclopts.config
from cyclopts import App, Group, Parameter, Token, convert
from cyclopts.argument import Argument, ArgumentCollection
from cyclopts.exceptions import CycloptsError, MissingArgumentError, UnusedCliTokensError
from cyclopts.validators import Number

from stepdistill.common.errors import ConfigError, DistillError
from stepdistill.common.terminal import one_line, write_any_letter
from stepdistill.common.urls import Place, Url, is_url, place_of

_PIPE_CLOSED = 141  # as of a process that SIGPIPE ended

_CONFIG = "--config"
_URL_AS_PATH = re.compile(r"[a-zA-Z][\w+.-]+:/")  # `s3:/bucket/run`: a path has no second slash
_UNREADABLE = (OSError, UnicodeError, ValueError, RecursionError)
PATH_OR_NAME = "path or name"
"""Marks an option whose text may be a path: in a settings file it is one where that is there."""
Layer = Callable[[App, tuple[str, ...], ArgumentCollection], None]
T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class Settings:
    """Base of settings classes; each checks its own fields in `check`, and calls its super's."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raises ConfigError: fields contradict each other."""

    def set_default(self, name: str, value: object) -> None:
        """Fill in a default that depends on other fields."""
        object.__setattr__(self, name, value)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def options(
    title: str | None = None, place: int = 0, *, kw_only: bool = True
) -> Callable[[Class], Class]:
    """A frozen settings class whose fields are options, its own under one title of `--help`.

    place: of the title among the others. kw_only: False where fields before `_: KW_ONLY` are a
    command's arguments.
    """

    def made(settings: Class) -> Class:
        if title is not None:
            option_group(title, place)(settings)
        dataclass(frozen=True, kw_only=kw_only)(settings)  # in place, as it has no slots
        return as_options(settings)

    return made


def as_options(settings: Class) -> Class:
    """Take the fields of this dataclass as a command's options; its arguments come first."""
    fields: dict[str, Field[object]] = vars(settings)["__dataclass_fields__"]
    # cyclopts wants arguments before options; a base class's fields stand before one's own.
    ordered = dict(sorted(fields.items(), key=lambda each: each[1].kw_only is True))
    type.__setattr__(settings, "__dataclass_fields__", ordered)
    return Parameter(name="*")(settings)


def option_group(title: str, place: int) -> Callable[[Class], Class]:
    """Show the fields that this settings class itself adds under one title of `--help`.

    place: of the title among the others.
    """
    group = Parameter(group=_group(title, place))

    def titled(settings: Class) -> Class:
        own = settings.__annotations__
        for name, hint in own.items():
            if name != "_":  # dataclasses.KW_ONLY
                # What comes later goes before: a field's own word about URLs.
                own[name] = Annotated[_no_url(hint), group]
        return settings

    return titled


def _no_url(hint: Any) -> Any:
    """The hint, where it is of paths alone as one that refuses URLs: they would be made folders."""
    parts = _parts_of(hint)
    has_word = any(isinstance(each, Parameter) and each.validator for each in parts)
    is_of_paths = Path in parts and Url not in parts
    return Annotated[hint, local_only()] if is_of_paths and not has_word else hint


def _parts_of(hint: Any) -> list[object]:
    """The types and Parameters that a hint is made of."""
    inner = get_args(hint)
    return [part for each in inner for part in _parts_of(each)] if inner else [hint]


@cache
def _group(title: str, place: int) -> Group:
    return Group(title, sort_key=place)


def at_least(least: float) -> Parameter:
    """A number that is no smaller."""
    return Parameter(validator=Number(gte=least))


def between(least: float, most: float) -> Parameter:
    """A number from least to most, both included."""
    return Parameter(validator=Number(gte=least, lte=most))


def local_only(hint: str = "name a path of this machine") -> Parameter:
    """A path that is no URL. hint: what helps whoever names one."""

    def check(_: object, value: object) -> None:
        given = cast(tuple[object, ...], value) if isinstance(value, tuple) else (value,)
        for each in given:
            if isinstance(each, Path) and _URL_AS_PATH.match(str(each)) and not each.exists():
                raise ValueError(f"That is a URL: {hint}")

    return Parameter(validator=check)


def read_by(read: Callable[[str], object]) -> Parameter:
    """An option whose word this function reads; it raises ConfigError or ValueError."""

    def convert(_: object, tokens: Sequence[Token]) -> object:
        return read(tokens[-1].value)

    return Parameter(converter=convert, n_tokens=1)


def comma_separated(_: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    """A converter: `--split a,b --split c` is a, b and c, each once."""
    words = [word.strip() for token in tokens for word in token.value.split(",")]
    return tuple(dict.fromkeys(word for word in words if word))


def _file_or_screen(_: object, tokens: Sequence[Token]) -> str:
    word = tokens[-1].value
    if word != "-" and word.startswith("-"):
        raise ValueError(f"{word} is an option: name a file before it, or - for the screen")
    return word


def _file_or_input(_: object, tokens: Sequence[Token]) -> str:
    word = tokens[-1].value
    if word != "-" and word.startswith("-"):
        raise ValueError(f"{word} is an option: name a file before it, or - for standard input")
    return word


def _last_given(kind: Any, tokens: Sequence[Token]) -> object:
    # The words of one occurrence are numbered from 0.
    start = max((place for place, token in enumerate(tokens) if token.index == 0), default=0)
    return cast(object, convert(kind, tokens[start:]))


def _place(_: object, tokens: Sequence[Token]) -> Place:
    return place_of(tokens[-1].value)


def _places(_: object, tokens: Sequence[Token]) -> tuple[Place, ...]:
    # Arguments are all numbered 0; of an option, the words of one occurrence from 0.
    starts = [n for n, token in enumerate(tokens) if token.keyword and token.index == 0]
    return tuple(place_of(token.value) for token in tokens[max(starts, default=0) :])


FILE_OR_SCREEN = Parameter(converter=_file_or_screen, n_tokens=1, allow_leading_hyphen=True)
"""An option that names a file, or - for the screen."""
FILE_OR_INPUT = Parameter(converter=_file_or_input, n_tokens=1, allow_leading_hyphen=True)
"""An argument that names a file, or - for standard input."""
LIST = Parameter(converter=_last_given, consume_multiple=True)
"""An option of several words, as `--train A B`."""
PLACE = Parameter(converter=_place, n_tokens=1, accepts_keys=False)
"""An option that names a path or a URL."""
PLACES = Parameter(converter=_places, consume_multiple=True, accepts_keys=False)
"""An option of several of them, as LIST, or the arguments."""
NAMES = Parameter(converter=comma_separated, consume_multiple=False)
"""An option of names, given several times or with commas."""


@options("Settings file", 99)
class ConfigFileSettings(Settings):
    """A file of options; `call` reads it."""

    config: Path | None = None
    """YAML file of any of these options by name; the command line goes before it."""


def make_app(name: str, about: str, version: str | None = None) -> App:
    """An app, or a command with commands of its own."""
    return App(
        name=name,
        help=about,
        version=version,
        version_flags=["--version"] if version else [],
        # Given twice, the last counts.
        default_parameter=Parameter(negative=(), show_default=_shown_default, allow_repeating=True),
        help_flags=["--help", "-h"],
        help_format="plaintext",
    )


def add_command(app: App, function: Callable[..., object], name: str) -> None:
    """A function whose docstring is the command's help; its examples stand below the options."""
    text = inspect.cleandoc(function.__doc__ or "")
    about, heading, examples = text.partition("\n\nExample")
    app.command(function, name=name, help=about, help_epilogue=(heading + examples).strip())


def call(app: App, words: Sequence[str], *layers: Layer) -> Any:
    """Do what the words of a command line say; what the command returned. Raises DistillError.

    layers: of options, each below the ones before it; the command line and its --config go first.
    """
    write_any_letter()
    path = _config_file(words)
    file = _SettingsFile(path, must_exist=True, use_commands_as_keys=False) if path else None
    app.config = (*((file,) if file else ()), *layers)
    try:
        return app(
            list(words), exit_on_error=False, print_error=False, result_action="return_value"
        )
    except CycloptsError as error:
        words = (app.name[0], *(error.command_chain or ()), "--help")
        raise ConfigError(f"{_in_words(error)}; see {' '.join(words)}") from None


def layer_of(content: Mapping[str, object], source: str) -> Layer:
    """Options by name as a layer. source: what a refusal calls it."""

    def layer(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        # Below the command's own name: else an option that bears a command's name is left out.
        nested: dict[str, object] = dict(content)
        for name in reversed(commands):
            nested = {name: nested}
        cyclopts.config.Dict(nested, source=source)(app, commands, arguments)

    return layer


def exit_code_of(app: App, words: Sequence[str]) -> int:
    """Call an app as a program: what the command returned, or an error's code and its one line.
    Raises KeyboardInterrupt."""
    app.suppress_keyboard_interrupt = False  # else it would leave without a word
    try:
        done = call(app, words)
        sys.stdout.flush()
    except DistillError as error:
        sys.stderr.write(f"{app.name[0]}: {one_line(str(error))}\n")
        return error.exit_code
    except BrokenPipeError:
        return leave_pipe()
    except OSError as error:  # such as a name that is too long for a file
        if error.filename is None:
            raise
        what = f"{error.filename}: {error.strerror}"
        sys.stderr.write(f"{app.name[0]}: {one_line(what)}\n")
        return DistillError.exit_code
    return done if isinstance(done, int) else 0


def leave_pipe() -> int:
    """Whoever read what is printed has had enough, as `head` has: the exit code that a shell knows.
    What is still to be flushed goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return _PIPE_CLOSED


def taken_from(settings: object, wanted: type[T], **others: object) -> T:
    """Settings of another class, of the fields that both have. others: what differs."""
    names = inspect.signature(wanted).parameters
    shared = {name: getattr(settings, name) for name in names if hasattr(settings, name)}
    return wanted(**{**shared, **others})


def _in_words(error: CycloptsError) -> str:
    """What is wrong with a command line, as one sentence without its end."""
    if type(error) is MissingArgumentError and error.argument is not None:
        name = error.argument.name
        return f"{name[2:].upper() if error.argument.index is not None else name} is missing"
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"unexpected argument {error.unused_tokens[0]}"
    return " ".join(str(error).split()).partition(" Available commands")[0].rstrip(".")


def _shown_default(value: object) -> object:
    """None hides it: what is off, or nothing, needs no words."""
    if value is None or value is False or value in ((), frozenset(), ""):
        return None
    if isinstance(value, tuple):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    return f"{value:g}" if isinstance(value, float) else value


def _config_file(words: Sequence[str]) -> Path | None:
    """The file that --config names: it has to be known before the other options are read."""
    for place, word in enumerate(words):
        if word == _CONFIG and place + 1 < len(words):
            return Path(words[place + 1])
        if word.startswith(f"{_CONFIG}="):
            return Path(word.partition("=")[2])
    return None


def _kind_of_path(argument: Argument) -> str | None:
    if PATH_OR_NAME in get_args(argument.field_info.annotation):
        return PATH_OR_NAME
    return "path" if Path in _parts_of(argument.hint) else None


def _placed(folder: Path, value: object, kind: str) -> object:
    if isinstance(value, str) and is_url(value):
        return value
    there = folder / value if isinstance(value, str) else folder
    return str(there) if isinstance(value, str) and (kind == "path" or there.exists()) else value


class _SettingsFile(cyclopts.config.Yaml):
    """A YAML file of options by name; what the command line says goes before it.

    Paths in it are relative to its folder.
    """

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        folder = Path(self.path).parent
        kinds = {name: _kind_of_path(each) for each in arguments for name in each.names}
        content = self._content()
        for key, value in content.items():
            kind = kinds.get(f"--{key.replace('_', '-')}")
            if kind is not None:
                paths = cast(list[object], value) if isinstance(value, list) else [value]
                seen = [_placed(folder, each, kind) for each in paths]
                content[key] = seen if isinstance(value, list) else seen[0]
        layer_of(content, str(self.path))(app, commands, arguments)

    def _content(self) -> dict[str, object]:
        try:
            return dict(self.config)
        except (*_UNREADABLE, TypeError, CycloptsError) as error:
            raise ConfigError(
                f"{_CONFIG} {self.path}: not a YAML mapping of options, as `samples: 500` ({error})"
            ) from None
