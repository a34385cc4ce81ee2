"""What a metadata file knows, computed again: for each of its settings the run and the choice."""

from collections.abc import Iterator
from dataclasses import replace

from stepdistill.annotator.prompt.template import load_templates
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.study.metadata import Metadata
from stepdistill.annotator.study.trial import Choice


def settings_again(config: RunSettings, metadata: Metadata) -> Iterator[tuple[RunSettings, Choice]]:
    """The config and choice of each result; templates that are gone are left out."""
    known = load_templates(config.prompts, config.task)
    for result in metadata.results:
        setting = result.setting
        templates = tuple(name for name in result.templates if name in known)
        if templates:
            yield (
                replace(
                    config,
                    teacher=setting.teacher,
                    splits=(setting.split,),
                    base_url=f"https://{setting.server}",
                ),
                Choice(
                    test_size=setting.test_size,
                    seed=setting.seed,
                    reader=setting.reader,
                    templates=templates,
                    allow_leak=None,
                ),
            )
