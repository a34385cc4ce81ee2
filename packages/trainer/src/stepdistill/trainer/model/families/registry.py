"""Which family a base is of, by its config's `model_type`.

A new one is an entry here, if it reads and answers as one of these families does, and a row in the
tests (`made_bases.py`), which hold its loss against transformers' own; else a file of its own, too.
"""

from stepdistill.trainer.model.families.bart_t5gemma import PlacedFamily
from stepdistill.trainer.model.families.family import Family
from stepdistill.trainer.model.families.t5 import T5Family

# ByT5 and flan are T5s.
FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("t5", "mt5", "umt5"), T5Family()),
    **dict.fromkeys(("bart", "t5gemma", "t5gemma2"), PlacedFamily()),
}
