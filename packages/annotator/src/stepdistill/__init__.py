"""Label with a large model, train a small one: the names for a notebook.

    from stepdistill import Student, Task, annotate, estimate, experiment

Each is loaded when it is first asked for, so that this import costs nothing. The package lies in
three distributions. This same file is in the source of each, for type checkers, and in the wheel of
`stepdistill-common` alone; it makes one package of their folders where they are apart.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdistill.annotator.notebook import Task as Task
    from stepdistill.annotator.notebook import annotate as annotate
    from stepdistill.annotator.notebook import estimate as estimate
    from stepdistill.annotator.notebook import experiment as experiment
    from stepdistill.trainer.notebook import Student as Student

# In place: import-linter looks for modules where the package's spec says that they are.
__path__[:] = extend_path(__path__, __name__)
# name -> the side that has it
_SIDES = {
    "Task": "annotator",
    "annotate": "annotator",
    "estimate": "annotator",
    "experiment": "annotator",
    "Student": "trainer",
}
__all__ = ("Student", "Task", "annotate", "estimate", "experiment")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


def __getattr__(name: str) -> object:
    if name not in _SIDES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    side = _SIDES[name]
    try:
        found = getattr(import_module(f"stepdistill.{side}.notebook"), name)
    except ModuleNotFoundError as error:
        if error.name not in (f"stepdistill.{side}", f"stepdistill.{side}.notebook"):
            raise
        needs = f"stepdistill.{name} needs the {side}: pip install stepdistill-{side}"
        raise ImportError(needs, name=__name__) from None
    globals()[name] = found
    return found
