"""Options: the text of one of the choices that a row brings along."""

# budget: a kind is a file, however small: that is where the next one goes.

from collections.abc import Mapping

from pydantic import JsonValue

from stepdistill.common.kinds.kind import Kind, LabelWording


class Options(Kind):
    """A label is the text of one of the row's options."""

    name = "options"

    def check(self, label: str, fields: Mapping[str, str]) -> str | None:
        choices = self.choices(fields)
        return None if label in choices else f"{label} is no option of the row"

    def schema(self) -> dict[str, JsonValue]:
        # Every row has its own options, and all requests of a template share one schema.
        return {"type": "string"}

    def wording(self, what: str) -> LabelWording:
        options = "\n".join(f'"{{{name}}}"' for name in self.spec.options)
        return LabelWording(
            question=f"Which {what} is right? It is one of these options:\n\n{options}",
            answer=f"the {what}, one of these options spelt as above",
            value=f"the {what}, one of these options spelt as above",
        )

    def sentence(self) -> str:
        options = ", ".join(f"{{{name}}}" for name in self.spec.options)
        return f"The label is the text of one of the options {options}."

    def choices(self, fields: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(fields[name] for name in self.spec.options if name in fields))
