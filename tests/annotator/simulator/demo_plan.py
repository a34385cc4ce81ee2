"""The demo task's validation rows, planned for some of its templates."""

from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.run.planning import make_template_plan
from stepdistill.annotator.settings.rows import shipped_tasks
from stepdistill.annotator.settings.run import RunSettings


def demo_plan(*templates: str, samples: int | None = None) -> Plan:
    """For all templates, where none is named."""
    config = RunSettings(
        task="demo",
        splits=("valid",),
        teacher="t",
        prompts=shipped_tasks(),
        store=shipped_tasks(),
        out=shipped_tasks(),
        samples=samples,
    )
    return make_template_plan(config, templates)
