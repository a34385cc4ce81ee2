"""From a run's settings to its plans, one per split.

What can be wrong with task, prompts, rows or key is found here, before a request is sent.
"""

from stepdistill.annotator.dataset.sources import open_source
from stepdistill.annotator.money.prices import Tariff, load_own_prices
from stepdistill.annotator.plan.key import Endpoint, endpoint_of
from stepdistill.annotator.plan.model_options import LimitName, load_options
from stepdistill.annotator.plan.plan import Plan
from stepdistill.annotator.prompt.leak import gold_placeholders, leak_warning
from stepdistill.annotator.prompt.mix import Mix, check_templates, load_mix, single
from stepdistill.annotator.prompt.task import check_placeholders, load_task
from stepdistill.annotator.prompt.template import Template, load_templates
from stepdistill.annotator.settings.run import RunSettings
from stepdistill.annotator.settings.secrets import Secrets
from stepdistill.annotator.settings.teacher import AUTO_CONCURRENCY, OPENAI_BASE_URL, SIMULATED
from stepdistill.annotator.teacher.online.rate_limiter import RateLimits
from stepdistill.annotator.teacher.spec import TeacherSpec, connections_allowed
from stepdistill.common.errors import ConfigError, PromptError
from stepdistill.common.task import TaskSpec

# The embedded simulator takes any free port; the port is not part of an endpoint's identity.
_SIMULATOR_URL = "http://localhost/v1"
DEFAULT_MIX = "default"


def make_plans(config: RunSettings) -> list[Plan]:
    """The plan of each split. Raises PromptError, DatasetError and ConfigError."""
    task = load_task(config.prompts, config.task)
    templates = load_templates(config.prompts, config.task)
    mix = _mix(config)
    check_templates(mix.templates, set(templates), config.task)
    used = {name: templates[name] for name in sorted(mix.templates)}
    _check_words(config, task, used)
    return [_plan(config, task, split, mix, used) for split in dict.fromkeys(config.splits)]


def make_template_plan(config: RunSettings, names: tuple[str, ...]) -> Plan:
    """A plan over the first split that knows these templates, or all of the task; its mix is the
    first of them alone. Raises PromptError, DatasetError and ConfigError."""
    templates = load_templates(config.prompts, config.task)
    check_templates(set(names), set(templates), config.task)
    used = {name: templates[name] for name in dict.fromkeys(names or templates)}
    if not used:
        raise PromptError(f"{config.prompts / config.task}: no templates*.yaml with a template")
    return plan_of_templates(config, used)


def plan_of_templates(config: RunSettings, templates: dict[str, Template]) -> Plan:
    """A plan over the first split that knows these; its mix is the first of them alone. Raises
    PromptError, DatasetError and ConfigError."""
    task = load_task(config.prompts, config.task)
    _check_words(config, task, templates)
    return _plan(config, task, config.splits[0], single(next(iter(templates))), templates)


def _plan(
    config: RunSettings, task: TaskSpec, split: str, mix: Mix, templates: dict[str, Template]
) -> Plan:
    return Plan(
        task=task,
        split=split,
        source=open_source(task, config.data, split),
        samples=config.samples,
        mix=mix,
        templates=templates,
        model=config.teacher,
        options=load_options(config.models, config.teacher),
        endpoint=endpoint(config),
        votes=config.votes,
    )


def warnings(plans: list[Plan]) -> list[str]:
    """What a person should know before these plans are carried out."""
    plan = plans[0]
    told = [leak_warning(plan.task, each) for each in plan.templates.values()]
    if plan.votes > 1:
        told += [
            f"template {name} asks at temperature 0: {plan.votes} votes will hardly differ"
            for name, each in plan.templates.items()
            if plan.options.apply(each.options).get("temperature") == 0
        ]
    return [line for line in told if line is not None]


def uses_simulator(config: RunSettings) -> bool:
    """Whether this run asks the embedded simulated teacher."""
    return config.teacher == SIMULATED and config.base_url is None


def api_key() -> str | None:
    """The key that the environment or `.env` names. Raises ConfigError: no header can carry it."""
    secret = Secrets().openai_api_key
    key = secret.get_secret_value().strip() if secret else ""
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(
            "OPENAI_API_KEY: it has a character that no key has (a line break, a typographic "
            "quote?): copy it again"
        )
    return key or None


def make_door(config: RunSettings, simulator_url: str | None) -> TeacherSpec:
    """How the teacher is reached. Raises ConfigError when there is neither key nor server."""
    key = api_key()
    base_url = simulator_url or config.base_url
    if base_url is None and not key:
        raise ConfigError(
            "no teacher can be reached: set OPENAI_API_KEY (environment or .env), or name a server "
            "of your own with --base-url http://..., or try for free with --teacher simulated"
        )
    return TeacherSpec(
        base_url=(base_url or OPENAI_BASE_URL).rstrip("/"),
        key=None if simulator_url else key,
        concurrency=connections_allowed(config.concurrency or AUTO_CONCURRENCY),
        # Who names a number knows the teacher: one round at half of it sees that it is borne.
        first=-(-config.concurrency // 2) if config.concurrency else None,
        timeout_s=config.timeout_s,
        max_tokens=config.max_tokens,
        limits=RateLimits(
            requests_per_minute=config.requests_per_minute,
            tokens_per_minute=config.tokens_per_minute,
        ),
        limit_name=limit_name(config),
    )


def make_tariff(config: RunSettings) -> Tariff:
    """What the teacher costs. Raises PromptError: the file of one's own prices is wrong."""
    own = load_own_prices(config.prices)
    return Tariff(model=config.teacher, host=endpoint(config).name, own=own)


def limit_name(config: RunSettings) -> LimitName:
    """What the limit on the answer's length is called in a request."""
    own_server = config.base_url is not None or uses_simulator(config)
    # OpenAI's newer models refuse the old name, most other servers know only that one.
    usual: LimitName = "max_tokens" if own_server else "max_completion_tokens"
    return load_options(config.models, config.teacher).limit_name or usual


def endpoint(config: RunSettings) -> Endpoint:
    """Who serves the teacher. Raises ConfigError: the address is none."""
    url = config.base_url or (_SIMULATOR_URL if uses_simulator(config) else OPENAI_BASE_URL)
    try:
        endpoint = endpoint_of(url)
    except ValueError as error:
        raise ConfigError(f"--base-url {url}: {error}") from None
    if not url.startswith(("http://", "https://")) or not endpoint.name:
        raise ConfigError(f"--base-url {url}: not a URL such as http://localhost:8000/v1")
    return endpoint


def _mix(config: RunSettings) -> Mix:
    if config.template is not None:
        return single(config.template)
    return load_mix(config.prompts, config.task, config.mix or DEFAULT_MIX)


def _check_words(config: RunSettings, task: TaskSpec, templates: dict[str, Template]) -> None:
    for name, template in templates.items():
        where = f"{config.prompts / config.task}: template {name}"
        check_placeholders(where, template.system + template.user, task, gold_placeholders(task))
