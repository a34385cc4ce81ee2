"""`annotate providers`: who is known to serve teachers, and what one of them does when asked."""

import asyncio
from collections.abc import Iterable
from dataclasses import KW_ONLY, replace
from decimal import Decimal
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.console.tables import plain_table
from stepdistill.annotator.provider.profile import Provider
from stepdistill.annotator.provider.profiles import load_providers, serving
from stepdistill.annotator.run.provider_check import ProviderCheck, check_provider
from stepdistill.annotator.run.teacher import teacher_spec
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import (
    ProviderSettings,
    ServerSettings,
    addresses_in,
    read_key,
)
from stepdistill.annotator.teacher.spec import TeacherSpec
from stepdistill.common.command_line import add_command, at_least, make_app, options
from stepdistill.common.errors import ConfigError


@options("Teacher", 3, kw_only=False)
class CheckSettings(ServerSettings):
    """Who is asked."""

    name: Annotated[str, Parameter(name="NAME")]
    """The provider, as PROVIDER or PROVIDER:MODEL."""
    _: KW_ONLY
    timeout_s: Annotated[float, at_least(0.1), Parameter(name="--timeout")] = 30.0
    """Seconds to wait for each answer."""


LIST = ProviderSettings()


def list_command(settings: ProviderSettings = LIST, console: JsonSettings = JSON) -> None:
    """List who is known: name them as --teacher PROVIDER:MODEL.

    Examples:

        annotate providers list

        annotate providers list --json
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    providers = load_providers(settings.providers).values()
    if console.as_json:
        output.json({"providers": [_fields(each) for each in providers]})
        return
    output.table(_table(providers))
    output.show("+ the key is set here; batches cost this share of the online price, where known")
    output.show("Try one by a single short request: annotate providers check NAME:MODEL")


def check_command(settings: CheckSettings, console: JsonSettings = JSON) -> None:
    """Ask a provider one short question, and say what works and what does not.

    Examples:

        annotate providers check anthropic:claude-haiku-4-5

        annotate providers check vllm --base-url http://gpu-3:8000/v1
    """
    output = ConsoleOutput(quiet=console.is_quiet)
    if len(addresses_in(settings.base_url)) > 1:
        raise ConfigError("--base-url: one server is checked at a time: name one")
    model = _model_of(settings)

    def spec_of(name: str) -> TeacherSpec:
        provider = settings.name if model is None else settings.name.removesuffix(f":{model}")
        config = RunSettings(
            task="providers check",
            teacher=f"{provider}:{name}",
            base_url=settings.base_url,
            models=settings.models,
            providers=settings.providers,
            timeout_s=settings.timeout_s,
            max_tokens=256,
        )
        return replace(teacher_spec(config), concurrency=1)

    found = asyncio.run(check_provider(model, spec_of))
    if console.as_json:
        output.json(_checked(found))
        return
    teacher = found.teacher
    name = teacher.provider.full_name
    key = teacher.key_name if teacher.api_key is not None else "no key"
    output.show(f"{name}, {teacher.model} at {teacher.endpoint.name} ({key})")
    output.table(plain_table(["", "", ""], [], [(r.what, r.state, r.words) for r in found.results]))


def _model_of(settings: CheckSettings) -> str | None:
    """The model that is named; None where a provider is named alone. Raises ConfigError."""
    served = serving(settings.name, settings.base_url, settings.providers)
    if served.is_named:
        return served.model
    alone = serving(f"{settings.name}:-", settings.base_url, settings.providers)
    if not alone.is_named:
        known = ", ".join(load_providers(settings.providers))
        raise ConfigError(f"{settings.name}: nobody that is known: it is one of {known}")
    return None


def _table(providers: Iterable[Provider]) -> Table:
    rows = [
        (
            *(each.name, _key(each), _batches(each), ", ".join(each.tiers) or "-"),
            "-" if each.logprobs is None else str(each.logprobs),
        )
        for each in providers
    ]
    return plain_table(["provider", "key", "batches", "tiers"], ["logprobs"], rows)


def _key(provider: Provider) -> str:
    name = next(iter(provider.key_env), "")
    is_set = any(read_key(each) is not None for each in provider.key_env)
    return f"{name} +" if is_set else name


def _batches(provider: Provider) -> str:
    if provider.batch is None:
        return "-"
    share = provider.batch_share
    return "?" if share is None else f"{Decimal(100) * share:.0f} %"


def _fields(provider: Provider) -> dict[str, object]:
    fields = provider.model_dump(mode="json")
    shares = {name: None if each is None else float(each) for name, each in provider.tiers.items()}
    share = provider.batch_share
    return {
        **fields,
        "batch_share": None if share is None else float(share),
        "tiers": shares,
        "key_found": any(read_key(name) is not None for name in provider.key_env),
    }


def _checked(found: ProviderCheck) -> dict[str, object]:
    teacher = found.teacher
    return {
        "provider": teacher.provider.name,
        "model": teacher.model,
        "address": teacher.endpoint.name,
        "key": teacher.key_name if teacher.api_key is not None else None,
        "results": [each._asdict() for each in found.results],
    }


providers_app = make_app(
    "providers", "List who is known to serve teachers; ask one what works and what does not."
)
add_command(providers_app, list_command, "list")
add_command(providers_app, check_command, "check")
