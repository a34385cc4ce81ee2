"""YAML files read into models; what is wrong is said with file and field.

A file says what a person wrote: one that grows without measure as it is read (aliases of aliases),
or that goes deeper than anybody looks, is refused before it is taken apart.
"""

from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from stepdistill.common.errors import PromptError

Model = TypeVar("Model", bound=BaseModel)
_MOST_BYTES = 1 << 22
_MOST_NODES = 300_000  # with what aliases stand for
_DEEPEST = 100
_INTEGER = "tag:yaml.org,2002:int"
_INTEGERS = range(-(1 << 63), 1 << 64)  # what JSON readers take, a request's among them


class _BeyondSense(ValueError):
    """YAML, and nothing that a person would write."""


def read_yaml(path: Path, model: type[Model]) -> Model:
    """The file as a model. Raises PromptError with the first thing that is wrong."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise PromptError(f"{path}: over {_MOST_BYTES >> 20} MB: what is it?")
        return model.model_validate(_content(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise PromptError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise PromptError(f"{path}: not UTF-8 text") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"]) or "the whole file"  # label.kind
        is_unknown = wrong["type"] == "extra_forbidden"
        what = " is not a field here" if is_unknown else f": {wrong['msg']}"
        raise PromptError(f"{path}: `{where}`{what}") from None
    except RecursionError:
        raise PromptError(f"{path}: not YAML (nested far too deep)") from None
    except _BeyondSense as error:
        raise PromptError(f"{path}: {error}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise PromptError(f"{path}: not YAML ({' '.join(str(error).split())})") from None


def _content(text: str) -> object:
    loader: Any = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _size(node, {}, 1)
        return cast(object, loader.construct_document(node))
    finally:
        loader.dispose()


def _size(node: yaml.Node, sizes: dict[int, int | None], depth: int) -> int:
    """How many nodes there are with what aliases stand for. Raises _BeyondSense where they
    are too many or too deep, or an integer is too large.

    sizes: of the nodes that were counted, by identity; None of those that are being counted.
    """
    if id(node) in sizes:
        known = sizes[id(node)]
        if known is None:
            raise _BeyondSense(f"{_place(node)}: an alias of what it stands in")
        return known
    if depth > _DEEPEST:
        raise _BeyondSense(f"{_place(node)}: nested over {_DEEPEST} deep")
    sizes[id(node)] = None
    inside: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        inside = [each for pair in node.value for each in pair]
    elif isinstance(node, yaml.SequenceNode):
        inside = node.value
    elif node.tag == _INTEGER:
        _check_integer(node)
    size = 1 + sum(_size(each, sizes, depth + 1) for each in inside)
    if size > _MOST_NODES:
        raise _BeyondSense(
            f"{_place(node)}: over {_MOST_NODES:,} values, with those of its aliases"
        )
    sizes[id(node)] = size
    return size


def _check_integer(node: yaml.Node) -> None:
    number = yaml.SafeLoader("").construct_yaml_int(cast(yaml.ScalarNode, node))
    if number not in _INTEGERS:
        raise _BeyondSense(f"{_place(node)}: an integer beyond 64 bits: put it in quotation marks")


def _place(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}, column {node.start_mark.column + 1}"
