"""The configuration as text: what is in effect, a sample file with every option, the page of the manual."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from waav.config.load import Loaded
from waav.config.options import SECTIONS, Option, options
from waav.registry import Registry
from waav.secret import Secret

DEFAULT: Final = "default"
"""Where a value comes from that nobody has set."""

_SECRET_NAME: Final = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)


def shown(loaded: Loaded) -> list[str]:
    """A line per option: its value, secrets masked, and where it comes from."""
    return [line(*row) for row in effective(loaded)]


def effective(loaded: Loaded) -> Iterator[tuple[str, Any, str]]:
    """Every option's path, its value, secrets masked, and where it comes from."""
    for path in loaded.options:
        yield path, masked(loaded.values[path]), loaded.origins.get(path, DEFAULT)


def line(path: str, value: Any, origin: str) -> str:
    """A row of ``effective`` for people."""
    told = "(not set)" if value is None else json.dumps(value, ensure_ascii=False)
    return f"{path} = {told}  [{origin}]"


def masked(value: Any) -> Any:
    """The same value as plain lists, mappings and texts with everything secret replaced by ``***``."""
    if isinstance(value, Secret):
        return "***"
    if isinstance(value, Mapping):
        return {
            key: "***" if _SECRET_NAME.search(key) and isinstance(item, str) else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, tuple):
        return [masked(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"(?<=//)[^/@\s]+(?=@)", "***", value)
    return value


SAMPLE_HEAD: Final = """\
# Every option of WaaV with its default and, in brackets, its unit and its environment variable.
# Written by "waav config sample"; as it is it changes nothing: take the "# " away from what you want to change. Keep
# your own as config.yaml.
#
# A value comes from this file, else from the process environment, else from .env, else it is the default
# (--config-precedence env puts the environment first). A blank value means "not set". A secret may also
# come from a file: <VARIABLE>_FILE=path.
"""


def sample(registry: Registry) -> str:
    """A YAML file that shows every option; loading it gives the defaults."""
    lines = [SAMPLE_HEAD]
    open_sections: list[str] = []
    for option in options(registry).values():
        *parents, key = option.path.split(".")
        common = _common(open_sections, parents)
        for depth in range(common, len(parents)):
            blank = [""] if depth == 0 else []
            lines += [*blank, f"{'  ' * depth}{_yaml_key(parents[depth])}:"]
        open_sections = parents
        indent = "  " * len(parents)
        lines.append(f"{indent}# {option.doc}{_facts(option)}")
        lines.append(f"{indent}# {key}:{_yaml_value(option.default)}")
    return "\n".join(lines) + "\n"


def _common(left: list[str], right: list[str]) -> int:
    """How many leading items are the same."""
    same = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        same += 1
    return same


def _yaml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) else json.dumps(name)


def _yaml_value(default: Any) -> str:
    if default is None:
        return ""
    return " " + _default(default)


def _default(default: Any) -> str:
    """A default as YAML and as people write it."""
    if isinstance(default, str):
        return default if re.fullmatch(r"[A-Za-z0-9_./-]+", default) else json.dumps(default)
    return json.dumps(masked(default))


def _facts(option: Option) -> str:
    """Unit, choices and variable in brackets."""
    choices = " or ".join(str(choice) for choice in option.choices)
    facts = ", ".join(filter(None, [choices, option.unit, option.env]))
    return f" [{facts}]"


MANUAL_HEAD: Final = """\
# Configuration

This page is written by `waav config manual` from the declarations that the gateway itself reads.

A value comes from the first of these that has it:

1. the YAML file given with `-c`,
2. the process environment,
3. a file `.env` in the working directory (it is not exported into the environment),
4. the built-in default.

With `--config-precedence env`, or `WAAV_CONFIG_PRECEDENCE=env`, the environment comes before the YAML file;
`.env` stays third. `--host`, `--port`, `--workers` and `--log-level` on the command line come before all of them. Where two sources disagree, a line at
start-up names the option and the winner.

- A blank value means "not set" and falls through to the next source. Lists are replaced as a whole.
- True and false are written `true`/`false`, `1`/`0` or `yes`/`no`, in any case. Anything else stops the start.
- Lists in the environment are separated by commas; mappings are written as JSON.
- For a secret, `<VARIABLE>_FILE` may name a file that holds it; setting both is an error.
- Unknown keys, wrong values and missing files are all reported at once, each with its place, and nothing is
  opened. `--lenient-config` turns unknown keys into warnings.
- `waav config check` tells whether a configuration can be used, `waav config show` lists every value in effect
  with where it comes from; secrets are masked. `waav config show server` shows a section or an option, `--changed`
  what is not the default, `--json` writes JSON. `etc/waav.yaml` shows every option.
- The request rate limiter is off from 100000 requests per second; a warning at start-up says so.
"""


def manual(registry: Registry) -> str:
    """The page of the manual that describes every option."""
    lines = [MANUAL_HEAD]
    known = options(registry)
    for section, settings in SECTIONS.items():
        about = (settings.__doc__ or "").strip().splitlines()[0]
        about = re.sub(r"^YAML section ``\w+``[.:]?\s*", "", about)
        lines += [f"## {section}", ""]
        if about:
            lines += [about[0].upper() + about[1:], ""]
        lines += _table(known, f"{section}.")
    lines += ["## providers", "", PROVIDERS_TEXT]
    for provider in registry.providers:
        lines += [f"### {provider.title or provider.name}", ""]
        if provider.aliases:
            lines += [f"Also called {', '.join(f'`{one}`' for one in provider.aliases)}.", ""]
        lines += _table(known, f"providers.{provider.name}.")
        if provider.options:
            lines += ["Its `options`:", ""]
            lines += [f"- `{name}`: {about}" for name, about in sorted(provider.options.items())]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


PROVIDERS_TEXT: Final = """\
Keys of vendors. `providers.deepgram.api_key` may also be written `providers.deepgram_api_key`. A caller may send
a key of his own, which wins. At start-up the gateway logs which providers can be used and, by name only, which
lack credentials.
"""


def _table(known: Mapping[str, Option], prefix: str) -> Iterator[str]:
    yield "| option | default | environment | meaning |"
    yield "| --- | --- | --- | --- |"
    for option in known.values():
        if option.path.startswith(prefix):
            default = "not set" if option.default is None else f"`{_default(option.default)}`"
            unit = f" {option.unit}" if option.unit else ""
            choices = ", ".join(f"`{choice}`" for choice in option.choices)
            doc = f"{option.doc} One of {choices}." if choices else option.doc
            yield f"| `{option.path}` | {default}{unit} | `{option.env}` | {_cell(doc)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
