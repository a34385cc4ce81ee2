"""The demo task's validation rows, planned for some of its templates."""

from annotator.config import RunConfig, own_prompts
from annotator.planning import make_template_plan
from annotator.request.plan import Plan


def demo_plan(*templates: str, samples: int | None = None) -> Plan:
    """For all templates, where none is named."""
    config = RunConfig(
        task="demo",
        splits=("valid",),
        teacher="t",
        prompts=own_prompts(),
        store=own_prompts(),
        out=own_prompts(),
        samples=samples,
    )
    return make_template_plan(config, templates)
