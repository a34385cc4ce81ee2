"""From a run's settings to the teacher: its address and key, what it is asked with, at which tier.

What can be wrong with any of these is found here, before a request is sent.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from stepdistill.annotator.plan.model_options import LOGPROBS, ModelOptions, load_options
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.task import load_task
from stepdistill.annotator.provider.profile import Provider
from stepdistill.annotator.provider.profiles import Serving, serving
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.teacher import AUTO_CONCURRENCY, Addresses, addresses_in
from stepdistill.annotator.teacher.credentials import key_for
from stepdistill.annotator.teacher.spec import RateLimits, ServerAddress, TeacherSpec
from stepdistill.annotator.teacher.token_command import TokenCommand
from stepdistill.common.errors import ConfigError
from stepdistill.common.urls import without_secrets

_TOLD = ("classes", "options")  # kinds of label whose probabilities are read
_EFFORT = "reasoning_effort"  # as OpenAI's chat has it; other dialects say it in their way
# The embedded simulator takes any free port; the port is not part of an endpoint's identity.
_SIMULATOR_URL = "http://localhost/v1"
_SEVERAL = re.compile(r"[,;\s]https?://")


def teacher_spec(config: RunSettings) -> TeacherSpec:
    """Who is asked: the one place where settings become a teacher.

    Raises ConfigError: the address is none; PromptError: `models.yaml` cannot be read.
    """
    is_embedded = config.uses_simulator
    named, *others = [usable_url(each) for each in addresses_named(config)] or [None]
    served = serving(config.teacher, named, config.providers)
    provider = served.provider
    if config.batch_api:
        _check_batches(provider)
    url = named or (_SIMULATOR_URL if is_embedded else _own_address(config, provider))
    first, options = _address(config, url, served), _options(config, served)
    return TeacherSpec(
        model=served.model,
        base_url=url,
        provider=provider,
        api_key=first.api_key,
        key_name=first.key_name,
        token=first.token,
        options=options,
        max_tokens=config.max_tokens,
        limit_name=options.limit_name or provider.limit_name,
        tier=_tier(config, provider),
        tier_fallback=config.tier_fallback,
        label_names=_label_names(config),
        timeout_s=config.timeout_s,
        concurrency=max(1, (config.concurrency or AUTO_CONCURRENCY) // config.share),
        # Who names a number knows the teacher: one round at half of it sees that it is borne.
        first_concurrency=(
            -(-config.concurrency // (2 * config.share)) if config.concurrency else None
        ),
        rate_limits=_rate_limits(config),
        is_embedded=is_embedded,
        others=tuple(_other_address(config, url, served) for url in filter(None, others)),
        kept_as=config.base_url.kept_as if isinstance(config.base_url, Addresses) else None,
    )


def _rate_limits(config: RunSettings) -> RateLimits:
    return RateLimits(
        requests_per_minute=config.requests_per_minute,
        tokens_per_minute=config.tokens_per_minute,
        share=1 / config.share,
    )


def _address(config: RunSettings, url: str, served: Serving) -> ServerAddress:
    """An address; where nobody else is asked no key is needed, and none is read."""
    if config.offline or config.uses_simulator:
        return ServerAddress(base_url=url, provider=served.provider, key_name="")
    return server_address(url, served)


def server_address(url: str, served: Serving) -> ServerAddress:
    """An address with the key that goes there, or what prints a token in its place: for the
    provider's own addresses alone."""
    provider, token = served.provider, None
    name, key = key_for(url, provider, is_named=served.is_named)
    if key is None and provider.key_command and (provider.is_at(url) or not provider.hosts):
        token = TokenCommand(provider.key_command)
    return ServerAddress(base_url=url, provider=provider, api_key=key, key_name=name, token=token)


def _other_address(config: RunSettings, url: str, first: Serving) -> ServerAddress:
    """A further address of the same model. Raises ConfigError: it is spoken to in another way."""
    served = serving(config.teacher, url, config.providers)
    mine, its = first.provider.dialect, served.provider.dialect
    if mine != its:
        raise ConfigError(
            f"--base-url {without_secrets(url)}: it speaks {its}, and the first address {mine}: "
            "several addresses have to serve the same model in the same way"
        )
    return _address(config, url, served)


def addresses_named(config: RunSettings) -> tuple[str, ...]:
    """The addresses that --base-url names, or else the provider that is named. Raises PromptError:
    what is wrong with the providers."""
    if config.base_url is not None or config.uses_simulator:
        return addresses_in(config.base_url)
    served = serving(config.teacher, None, config.providers)
    return served.provider.addresses if served.is_named else ()


def at_its_own_address(config: RunSettings, beside: str) -> RunSettings:
    """The settings of a teacher that goes to its provider's own address where that provider is
    named, and is another than that of the teacher beside it, whose --base-url this is. Raises
    PromptError: what is wrong with the providers."""
    named = serving(config.teacher, None, config.providers)
    other = serving(beside, None, config.providers)
    if named.is_named and (not other.is_named or named.provider.name != other.provider.name):
        return replace(config, base_url=None)
    return config


def _check_batches(provider: Provider) -> None:
    """Raises ConfigError: it takes none. A server that nobody knows is taken to take OpenAI's."""
    if provider.name and provider.batch is None:
        raise ConfigError(
            f"--batch-api: {provider.full_name} takes no batches: leave it out, or "
            "say in providers.yaml how it takes them (`batch`)"
        )


def _own_address(config: RunSettings, provider: Provider) -> str:
    """The address of a provider. Raises ConfigError: it has none that is the same for all."""
    if provider.base_url is None:
        example = f", as https://{provider.hosts[0]}/..." if provider.hosts else ""
        raise ConfigError(
            f"--teacher {config.teacher}: {provider.full_name} has an address of its "
            f"own for each customer: name yours with --base-url{example}"
        )
    return usable_url(provider.base_url)


def _options(config: RunSettings, served: Serving) -> ModelOptions:
    """What `models.yaml` says of a model, what its provider refuses, --effort and --logprobs.
    Raises ConfigError: the provider has no such; PromptError: the file cannot be read."""
    options, provider = load_options(config.models, config.teacher, served.model), served.provider
    if provider.leave_out:
        refused = dict.fromkeys((*provider.leave_out, *options.leave_out))
        options = options.model_copy(update={"leave_out": list(refused)})
    if config.logprobs is not None:
        _check_logprobs(config.logprobs, provider, options)
        options = options.with_logprobs(config.logprobs)
    if config.effort is None:
        return options
    if provider.name and config.effort not in provider.efforts:
        known = ", ".join(provider.efforts) or "none that is known"
        raise ConfigError(f"--effort {config.effort}: {provider.full_name} has {known}")
    body = {**options.body, _EFFORT: config.effort}
    return options.model_copy(update={"body": body})


def _label_names(config: RunSettings) -> tuple[str, ...]:
    """What the task's classes are called, where it matters; nothing where rows bring their own.
    Raises ConfigError: labels of such a kind have no probabilities that could be told."""
    if config.logprobs is None:
        return ()
    label = load_task(config.prompts, config.task).label
    if label.kind not in _TOLD:
        raise ConfigError(
            f"--logprobs: labels of {config.task} are of kind {label.kind}, and only of classes "
            "and options is it known how probable each is: ask several times instead, by --votes 5"
        )
    return tuple(each for name, spec in label.classes.items() for each in (name, *spec.aliases))


def _check_logprobs(wanted: int, provider: Provider, options: ModelOptions) -> None:
    """Raises ConfigError: the provider tells none, or not so many."""
    name = provider.full_name
    if provider.name and provider.logprobs is None:
        raise ConfigError(f"--logprobs: {name} tells none: ask several times instead, by --votes 5")
    if provider.logprobs is not None and wanted > provider.logprobs:
        raise ConfigError(f"--logprobs {wanted}: {name} tells {provider.logprobs} at most")
    if refused := [name for name in LOGPROBS if name in options.leave_out]:
        raise ConfigError(f"--logprobs: models.yaml leaves out {refused[0]} for this model")


def _tier(config: RunSettings, provider: Provider) -> str | None:
    """The tier that is asked for. Raises ConfigError: the provider has no such."""
    tier = config.tier
    if tier is None or config.uses_simulator or config.batch_api:
        return None  # batches have a price of their own
    if provider.name and tier != "default" and tier not in provider.tiers:
        known = ", ".join(("default", *provider.tiers))
        raise ConfigError(f"--tier {tier}: {provider.full_name} has {known}")
    return None if tier == "default" and not provider.tiers else tier


def unsaid_remarks(teacher: TeacherSpec, plans: Iterable[Plan]) -> Iterator[str]:
    """What templates or models.yaml ask with that is not sent: the provider refuses it, or there
    are no words for it in its dialect."""
    provider, found = teacher.provider, dict[str, list[str]]()
    for plan in plans:
        for name, template in plan.templates.items():
            sent = plan.options.apply({**template.options})
            refused = [each for each in template.options if each in provider.leave_out]
            for each in (*refused, *teacher.dialect.unsaid(sent)):
                where = f"template {name}" if each in template.options else "models.yaml"
                found.setdefault(each, []).append(where)
    who = provider.full_name
    for each, places in found.items():
        of = f"{len(places)} templates" if len(set(places)) > 1 else places[0]
        yield f"{each} of {of} is not sent: {who} does not take it"


def usable_url(url: str) -> str:
    """An address as it is used, without a slash at its end. Raises ConfigError: it is none; said
    without what may be a secret in it."""
    shown = f"--base-url {without_secrets(url)}"
    try:
        address = urlsplit(url)
        host, _ = (address.hostname or "").encode("idna"), address.port
    except ValueError:  # its text may quote a password
        raise ConfigError(f"{shown}: not a URL: a bracket, a port or a name is wrong") from None
    if _SEVERAL.search(url):
        raise ConfigError(f"{shown}: more than one address: --base-url once for each of them")
    if address.scheme not in ("http", "https") or not host or not url.isprintable():
        raise ConfigError(f"{shown}: not a URL such as http://localhost:8000/v1")
    return url if address.query else url.rstrip("/")
