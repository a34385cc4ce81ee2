"""YAML files read into models; what is wrong is said with file and field."""

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from stepdistill.common.errors import PromptError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(path: Path, model: type[Model]) -> Model:
    """The file as a model. Raises PromptError with the first thing that is wrong."""
    try:
        content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
        return model.model_validate(content)
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
    except (yaml.YAMLError, ValueError) as error:
        raise PromptError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
