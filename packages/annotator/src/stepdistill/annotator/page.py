"""Texts made of templates. An HTML page needs nothing else, and every text in it is escaped."""

from decimal import Decimal
from pathlib import Path

_SHARED = Path(__file__).parent / "templates"


def rendered(template: Path, **values: object) -> str:
    """A template, filled. One that extends `page.html.jinja` is a whole page: styles inside, no
    script."""
    import jinja2  # a tenth of a second to import: only where a page is written

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _SHARED]),
        autoescape=template.name.endswith(".html.jinja"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(usd=usd, percent=percent, n="{:,}".format)
    return environment.get_template(template.name).render(**values)


def usd(amount: Decimal | float | None) -> str:
    """Four digits, more where it is less than a cent."""
    if amount is None:
        return "-"
    return f"{amount:,.4f}" if abs(amount) >= Decimal("0.01") or not amount else f"{amount:.7f}"


def percent(share: float | None) -> str:
    """As `87.5 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"
