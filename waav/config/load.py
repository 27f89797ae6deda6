"""The configuration: one frozen value made of the rooms' own settings, read from four layers.

A value comes from the command line, else from the YAML file, else from the process environment, else from ``.env``,
else it is the built-in default. With precedence "env" the environment comes before the YAML file. Everything wrong is collected and
reported at once, before anything is opened.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, get_type_hints

from waav.cache.settings import CacheSettings
from waav.config.checks import problems_of
from waav.config.layers import (
    GIVEN,
    Layer,
    Problem,
    Raw,
    from_dotenv,
    from_environment,
    from_options,
    from_yaml,
    unknown_variables,
)
from waav.config.options import SECTIONS, Option, Wrong, declared, frozen, options
from waav.errors import BadRequest, ConfigError, MissingCredentials, SeveralConfigErrors
from waav.gateway.settings import (
    ConsoleSettings,
    SecuritySettings,
    ServerSettings,
    SpeechDefaults,
    WebSocketSettings,
)
from waav.links.settings import LinkSettings
from waav.models import fetch, turn
from waav.models.settings import ModelSettings, NoiseSettings, TurnSettings
from waav.ops.settings import DiagnosticsSettings, LogSettings, MetricsSettings
from waav.registry import Registry
from waav.secret import Secret
from waav.session.settings import CallLimits, InterruptionSettings, SpeechFinalSettings
from waav.speech.provider import Account, Provider

PRECEDENCES: Final = ("yaml", "env")


class ConfigProblems(ConfigError):
    """The configuration cannot be used. ``problems`` says why, each with its path and place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Config:
    """What the gateway runs with. Cannot be changed."""

    server: ServerSettings = ServerSettings()
    security: SecuritySettings = SecuritySettings()
    websocket: WebSocketSettings = WebSocketSettings()
    console: ConsoleSettings = ConsoleSettings()
    audio: SpeechDefaults = SpeechDefaults()
    links: LinkSettings = LinkSettings()
    cache: CacheSettings = CacheSettings()
    models: ModelSettings = ModelSettings()
    turn_detection: TurnSettings = TurnSettings()
    noise_filter: NoiseSettings = NoiseSettings()
    speech_final: SpeechFinalSettings = SpeechFinalSettings()
    interruption: InterruptionSettings = InterruptionSettings()
    call: CallLimits = CallLimits()
    logging: LogSettings = LogSettings()
    diagnostics: DiagnosticsSettings = DiagnosticsSettings()
    metrics: MetricsSettings = MetricsSettings()
    providers: Mapping[str, Account] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where it comes from.

    Args:
        values: by option path, every one.
        origins: by option path, the place of each value that is not a default; of mappings also of what is inside.
        notices: for the log: keys that differ between layers, ignored keys and variables. No values.
    """

    config: Config
    options: Mapping[str, Option]
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    notices: tuple[str, ...]


def load(
    registry: Registry,
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = None,
    precedence: str | None = None,
    is_lenient: bool = False,
    given: Mapping[str, str] | None = None,
) -> Loaded:
    """Read, merge and check the configuration.

    Args:
        registry: the providers whose credentials can be configured.
        path: the YAML file; None for none.
        environ: the process environment.
        dotenv: a ``.env`` file; need not exist.
        precedence: "yaml" or "env"; None: ``WAAV_CONFIG_PRECEDENCE``, else "yaml".
        is_lenient: unknown keys are notices, not problems.
        given: what the command line says, by option path.

    Raises:
        ConfigProblems: naming everything that is wrong.
    """
    environ = environ or {}
    known = options(registry)
    order = precedence or environ.get("WAAV_CONFIG_PRECEDENCE", "").strip().lower() or "yaml"
    layers = _layers(registry, known, path, environ, dotenv, order)
    if given:
        layers.insert(0, from_options(given))
    problems = [problem for layer in layers for problem in layer.problems]
    if order not in PRECEDENCES:
        problems.append(
            Problem("WAAV_CONFIG_PRECEDENCE", f"must be yaml or env, is {order!r}", "environment")
        )
    notices = [*registry.broken, *unknown_variables(environ, known)]
    if is_lenient:
        notices += [f"ignored: {problem}" for problem in problems if problem.is_unknown_key]
        problems = [problem for problem in problems if not problem.is_unknown_key]
    values, origins, differing = _merge(known, layers, problems)
    config = _build(registry, known, values, origins, problems)
    problems += problems_of(values, origins, registry)
    if problems:
        raise ConfigProblems(problems)
    notices += _useless_defaults(registry, config)
    return Loaded(config, known, values, origins, (*notices, *differing))


def _useless_defaults(registry: Registry, config: Config) -> Iterator[str]:
    """A line for each default provider that cannot be used by whoever brings no key of his own."""
    for path, name in (
        ("audio.stt_provider", config.audio.stt_provider),
        ("audio.tts_provider", config.audio.tts_provider),
    ):
        provider = registry.find(name)
        if lacking := missing(provider, config):
            yield f"{path}: {provider.name} lacks {', '.join(lacking)}"


def _layers(
    registry: Registry,
    known: Mapping[str, Option],
    path: Path | None,
    environ: Mapping[str, str],
    dotenv: Path | None,
    order: str,
) -> list[Layer]:
    """The layers, strongest first."""
    names = {
        name.lower(): provider.name
        for provider in registry.providers
        for name in (provider.name, *provider.aliases)
    }
    layers = [from_yaml(path, known, names)] if path is not None else []
    layers.append(from_environment(environ, known))
    if order == "env":
        layers.reverse()
    if dotenv is not None:
        layers.append(from_dotenv(dotenv, known))
    return layers


def _merge(
    known: Mapping[str, Option], layers: list[Layer], problems: list[Problem]
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """The winning value of every option, where it stands, and a line per option whose layers differ."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    differing: list[str] = []
    for path, option in known.items():
        values[path] = option.default
        found = [
            (layer.name, layer.values[path].where, value)
            for layer in layers
            if path in layer.values
            and (value := _read(option, layer.values[path], problems)) is not None
            and value != ()
        ]
        if not found:
            continue
        winner, origins[path], values[path] = found[0]
        inside = next(layer.inside for layer in layers if layer.name == winner)
        origins.update({one: where for one, where in inside.items() if one.startswith(f"{path}.")})
        differing += [
            f"{path} has different values: {winner} wins over {name}"
            for name, _, value in found[1:]
            if value != values[path]
        ]
    return values, origins, differing


def _read(option: Option, raw: Raw, problems: list[Problem]) -> Any:
    try:
        return option.read(raw.value)
    except Wrong as wrong:
        problems.append(Problem(option.path, str(wrong), raw.where))
        return None


def _build(
    registry: Registry,
    known: Mapping[str, Option],
    values: dict[str, Any],
    origins: Mapping[str, str],
    problems: list[Problem],
) -> Config:
    timing = values["speech_final.providers"]
    where = origins.get("speech_final.providers", "")
    values["speech_final.providers"] = _timing(registry, timing, where, problems)
    sections = {name: _filled(settings, name, values) for name, settings in SECTIONS.items()}
    accounts = {}
    for provider in registry.providers:
        accounts[provider.name] = account = _account(provider, values)
        if any(path.startswith(f"providers.{provider.name}.") for path in origins):
            _let_check(provider, account, origins, problems)
    return Config(**sections, providers=MappingProxyType(accounts))


def _filled(settings: Any, prefix: str, values: Mapping[str, Any]) -> Any:
    """A settings object of that class with the values below ``prefix``."""
    filled = {}
    for one in fields(settings):
        path = f"{prefix}.{one.name}"
        if path in values:
            filled[one.name] = values[path]
        else:
            filled[one.name] = _filled(get_type_hints(settings)[one.name], path, values)
    return settings(**filled)


def _timing(
    registry: Registry, wanted: Mapping[str, Any], where: str, problems: list[Problem]
) -> Mapping[str, Mapping[str, Any]]:
    """``speech_final.providers``: for a provider's name, keys of ``speech_final`` itself."""
    prefix = "speech_final."
    keys = {
        option.path.removeprefix(prefix): option
        for option in declared(SpeechFinalSettings, "speech_final")
        if option.path != "speech_final.providers"
    }
    result: dict[str, Mapping[str, Any]] = {}
    for name, entries in wanted.items():
        path = f"speech_final.providers.{name}"
        try:
            canonical = registry.find(name).name
        except BadRequest as error:
            problems.append(Problem(path, error.message, where))
            continue
        if not isinstance(entries, Mapping):
            problems.append(Problem(path, "must be a mapping of keys and values", where))
            continue
        read = {}
        for key, value in entries.items():
            if key not in keys:
                known = ", ".join(keys)
                text = f"unknown key; there are {known}"
                problems.append(Problem(f"{path}.{key}", text, where, True))
                continue
            raw = str(value) if isinstance(value, str | int | float) else value
            option = replace(keys[key], path=f"{path}.{key}")
            if (one := _read(option, Raw(raw, where), problems)) is not None:
                read[key] = one
        result[canonical] = MappingProxyType(read)
    return MappingProxyType(result)


def _account(provider: Provider, values: Mapping[str, Any]) -> Account:
    """The gateway's own account with a provider, complete or not."""
    section = f"providers.{provider.name}"
    given = {
        credential.name: values[f"{section}.{credential.name}"]
        for credential in provider.credentials
        if values[f"{section}.{credential.name}"] is not None
    }
    key_name = _key_name(provider)
    return Account(
        key=given.get(key_name) if key_name else None,
        credentials=MappingProxyType(given),
        endpoint=values[f"{section}.endpoint"],
        options=values[f"{section}.options"],
    )


def _key_name(provider: Provider) -> str | None:
    """The credential that is the API key: the one of that name, else the first secret one."""
    secrets = [credential.name for credential in provider.credentials if credential.is_secret]
    return "api_key" if "api_key" in secrets else next(iter(secrets), None)


def _let_check(
    provider: Provider, account: Account, origins: Mapping[str, str], problems: list[Problem]
) -> None:
    """Let the provider validate its endpoint and options."""
    if provider.check is None:
        return
    try:
        provider.check(account)
    except ConfigError as found:
        for error in found.errors if isinstance(found, SeveralConfigErrors) else (found,):
            path = ".".join(filter(None, ["providers", provider.name, error.path]))
            parent = ".".join(path.split(".")[:3])
            where = origins.get(path) or origins.get(parent, "")
            problems.append(Problem(path, error.message, where))


def given_by(said: Callable[[str], str | None]) -> dict[str, str]:
    """What the command line says, by option path.

    Args:
        said: the text behind an option of ``GIVEN``; None where it is not there.
    """
    return {path: text for name, path in GIVEN.items() if (text := said(name)) is not None}


def packed(loaded: Loaded) -> bytes:
    """A configuration for another process of the same gateway, secrets included: for a pipe, not for a file.

    What was read once is not read again: files and variables may say something else by then.
    """
    values = {path: _unfrozen(value) for path, value in loaded.values.items()}
    return pickle.dumps((values, dict(loaded.origins), loaded.notices))


def unpacked(registry: Registry, data: bytes) -> Loaded:
    """The opposite of ``packed``, with the same providers; only for what our own gateway has packed."""
    texts, origins, notices = pickle.loads(data)
    known = options(registry)
    values = {
        path: Secret(text) if known[path].is_secret and text is not None else frozen(text)
        for path, text in texts.items()
    }
    problems: list[Problem] = []
    config = _build(registry, known, values, origins, problems)
    if problems:
        raise ConfigProblems(problems)
    return Loaded(config, known, values, origins, notices)


def _unfrozen(value: Any) -> Any:
    """The same as plain values that can be packed."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: _unfrozen(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_unfrozen(item) for item in value)
    return value


def missing(provider: Provider, config: Config) -> list[str]:
    """The option paths of a provider's required credentials that are not configured."""
    given = config.providers[provider.name].credentials
    return [
        f"providers.{provider.name}.{credential.name}"
        for credential in provider.credentials
        if credential.is_required and credential.name not in given
    ]


def models_folder(config: Config) -> Path:
    """Where the files of optional models are."""
    return fetch.folder(config.models.path, config.cache.path)


def check_models(config: Config) -> None:
    """Look whether the models that no call may go without are there and can be used; reads their files.

    Raises:
        ConfigProblems: one that is switched on, or required, is not.
    """
    checks = (
        (config.turn_detection.required, "turn_detection.required", _check_turn_model),
        (config.noise_filter.enabled, "noise_filter.enabled", _check_noise_filter),
    )
    problems = []
    for is_needed, path, check in checks:
        try:
            if is_needed:
                check(config)
        except ConfigError as error:
            problems.append(Problem(path, " ".join(error.message.split())))
    if problems:
        raise ConfigProblems(problems)


def _check_turn_model(config: Config) -> None:
    turn.local(config.turn_detection, models_folder(config)).load()


def _check_noise_filter(config: Config) -> None:
    """Its files have pinned hashes: sound ones work, and loading them here would cost 35 MB for good."""
    for artefact in fetch.artefacts(False, config.noise_filter.engine):
        for file in artefact.files:
            fetch.verified(file, models_folder(config))


def accounts(config: Config, registry: Registry) -> Callable[[Provider, Secret | None], Account]:
    """What ``World.account`` is: which account to use for a provider.

    A caller's own key wins; of the gateway's credentials only those that are not secret go with it.
    """
    known = {provider.name for provider in registry.providers}

    def account(provider: Provider, callers: Secret | None) -> Account:
        mine = config.providers[provider.name] if provider.name in known else Account()
        if callers:
            open_ones = {
                name: value for name, value in mine.credentials.items() if isinstance(value, str)
            }
            return Account(callers, open_ones, mine.endpoint, mine.options, is_callers_own=True)
        for credential in provider.credentials:
            if credential.is_required and credential.name not in mine.credentials:
                raise MissingCredentials(
                    f"{credential.title} not configured in server environment",
                    f"providers.{provider.name}.{credential.name}",
                )
        return mine

    return account
