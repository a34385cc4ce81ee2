"""Classes: one name of a closed set."""

# budget: a kind is a file, however small: that is where the next one goes.

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from stepdistill.common.kinds.kind import Kind, LabelWording, class_of, names_one_a_line


class Classes(Kind):
    """A label is the name of one of the task's classes."""

    name = "classes"
    is_one_class = True

    def check(self, label: str, fields: Mapping[str, str]) -> str | None:
        return None if label in self.spec.classes else f"{label} is no class of the task"

    def schema(self) -> dict[str, JsonValue]:
        return {"type": "string", "enum": [*self.spec.classes]}

    def wording(self, what: str) -> LabelWording:
        names = names_one_a_line(self.spec)
        return LabelWording(
            question=f"Which {what} fits this text? It is one of these names:\n\n{names}",
            answer=f"the {what}, one of these names spelt as above",
            value=f"the {what}, one of these names spelt as above",
        )

    def sentence(self) -> str:
        return f"The label is one of: {', '.join(self.spec.classes)}."

    def gold(self, text: str) -> str | None:
        return class_of(self.spec, text) if text else None

    def choices(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(self.spec.classes)

    def form(self, label: str, choices: Sequence[str] = ()) -> tuple[str, ...]:
        return super().form(label, choices or tuple(self.spec.classes))

    def classes_in(self, label: str) -> tuple[str, ...]:
        return (label,)
