"""Which kinds there are. A new one is a file beside this, a line here, and its name in `task.py`;
how its labels are read in answers, the annotator's `reading/verdict` knows."""

from stepdistill.common.kinds.classes import Classes
from stepdistill.common.kinds.equation import Equation
from stepdistill.common.kinds.kind import Kind
from stepdistill.common.kinds.multi import Multi
from stepdistill.common.kinds.number import BoundedNumber
from stepdistill.common.kinds.options import Options
from stepdistill.common.kinds.text import FreeText
from stepdistill.common.task import LabelKind, LabelSpec

_KINDS: tuple[type[Kind], ...] = (Classes, Options, Equation, FreeText, Multi, BoundedNumber)
KINDS: dict[LabelKind, type[Kind]] = {kind.name: kind for kind in _KINDS}


def kind_of(spec: LabelSpec) -> Kind:
    """The kind that a task's label spec names."""
    return KINDS[spec.kind](spec)
