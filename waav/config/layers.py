"""The sources of the configuration: a YAML file, the process environment, a ``.env`` file.

Each becomes a layer: for every option path it mentions, the raw value and where exactly it stands. What a value
means is decided later, for all layers alike, by its ``Option``.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from waav.config.options import Option, closest, elsewhere

OTHER_VARIABLES: Final = frozenset({"WAAV_CONFIG_PRECEDENCE", "WAAV_URL", "WAAV_SCREENSHOTS"})
"""Variables beginning with WAAV_ that are not options of the configuration."""

GIVEN: Final[Mapping[str, str]] = {
    "host": "server.host",
    "port": "server.port",
    "workers": "server.workers",
    "log-level": "logging.level",
}
"""What can be said on the command line, by the name of its option there."""

_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the configuration: which option, what, and where it stands."""

    path: str
    message: str
    where: str = ""
    is_unknown_key: bool = False

    def __str__(self) -> str:
        place = f" [{self.where}]" if self.where else ""
        return f"{self.path}: {self.message}{place}" if self.path else f"{self.message}{place}"


@dataclass(frozen=True, slots=True)
class Raw:
    """What a layer holds for one option."""

    value: object
    where: str


@dataclass(slots=True)
class Layer:
    """One source. ``values`` by option path; ``inside``: where the keys of mappings stand; ``problems`` found
    while reading it."""

    name: str
    values: dict[str, Raw] = field(default_factory=dict)
    inside: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def put(self, path: str, raw: Raw) -> None:
        """Add a value unless it is blank, which means "not set"."""
        if raw.value is None or (isinstance(raw.value, str) and not raw.value.strip()):
            return
        if path in self.values:
            first = self.values[path].where
            self.problems.append(Problem(path, f"is set twice, first at {first}", raw.where))
            return
        self.values[path] = raw


# The YAML file.


def from_yaml(path: Path, known: Mapping[str, Option], names: Mapping[str, str]) -> Layer:
    """Read a YAML file.

    Args:
        path: of the file.
        known: all options.
        names: aliases of providers, lower case, and the names they stand for.
    """
    layer = Layer("YAML")
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        layer.problems.append(Problem("", f"cannot read {path}: {error.strerror}"))
    except UnicodeDecodeError:
        layer.problems.append(Problem("", f"cannot read {path}: it is not UTF-8"))
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        layer.problems.append(Problem("", f"not valid YAML: {error.problem}", f"{path}{line}"))
    except yaml.YAMLError as error:
        text = str(error).splitlines()[0]
        layer.problems.append(Problem("", f"not valid YAML: {text}", str(path)))
    else:
        if node is not None and node.tag != _NULL:
            _Walk(layer, path, known, names).section(node, "")
    return layer


class _Walk:
    """Goes through the nodes of a YAML file, section by section."""

    def __init__(
        self, layer: Layer, path: Path, known: Mapping[str, Option], names: Mapping[str, str]
    ) -> None:
        self._layer = layer
        self._path = path
        self._known = known
        self._names = names
        self._spellings = {other: o.path for o in known.values() for other in o.spellings}
        self._sections = {
            ".".join(parts[:depth])
            for parts in (one.split(".") for one in known)
            for depth in range(1, len(parts))
        } | {"providers"}

    def section(self, node: yaml.Node, prefix: str) -> None:
        """Read a mapping whose keys are sections and options."""
        if not isinstance(node, yaml.MappingNode):
            self._problem(prefix, "must be a mapping of keys and values", node)
            return
        seen: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = str(key_node.value)
            path = f"{prefix}.{key}" if prefix else key
            if key in seen:
                first = seen[key].start_mark.line + 1
                self._problem(
                    path, f"stands twice in this section, first in line {first}", key_node
                )
                continue
            seen[key] = key_node
            self._entry(self._spelt(path), path, key_node, value)

    def _spelt(self, path: str) -> str:
        """The option path meant by ``path``: flat spellings and aliases of providers resolved."""
        if path in self._spellings:
            return self._spellings[path]
        if path.startswith("providers."):
            _, name, *rest = path.split(".", 2)
            return ".".join(["providers", self._names.get(name.lower(), name), *rest])
        return path

    def _entry(self, path: str, written: str, key: yaml.Node, value: yaml.Node) -> None:
        if path in self._known:
            self._layer.put(path, Raw(self._value(value, path), self._where(key)))
        elif path not in self._sections:
            kind = "key" if "." in path else "section"
            names = [*self._known, *self._sections, *self._spellings]
            hint = elsewhere(path, self._known) or closest(written, names)
            problem = Problem(written, f"unknown {kind}{hint}", self._where(key), True)
            self._layer.problems.append(problem)
        elif value.tag != _NULL:
            self.section(value, path)

    def _value(self, node: yaml.Node, path: str) -> object:
        """Scalars as their text, so that they mean the same as in the environment; the rest built."""
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag == _NULL else node.value
        if isinstance(node, yaml.SequenceNode) and self._known[path].kind is tuple:
            return [self._value(item, path) for item in node.value]
        self._inside(node, path)
        return _construct(node)

    def _inside(self, node: yaml.Node, path: str) -> None:
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                if key.value in seen:
                    self._problem(f"{path}.{key.value}", "stands twice in this section", key)
                seen.add(key.value)
                self._layer.inside[f"{path}.{key.value}"] = self._where(key)
                self._inside(value, f"{path}.{key.value}")

    def _problem(self, path: str, message: str, node: yaml.Node) -> None:
        self._layer.problems.append(Problem(path, message, self._where(node)))

    def _where(self, node: yaml.Node) -> str:
        return f"{self._path} line {node.start_mark.line + 1}"


def _construct(node: yaml.Node) -> Any:
    """The plain lists, mappings and scalars of a node."""
    builder = yaml.SafeLoader("")
    try:
        return builder.construct_document(node)
    except yaml.YAMLError:
        return None
    finally:
        builder.dispose()


# The command line.


def from_options(given: Mapping[str, str]) -> Layer:
    """What was said on the command line, by option path."""
    layer = Layer("command line")
    for path, text in given.items():
        name = next(name for name, its_path in GIVEN.items() if its_path == path)
        layer.put(path, Raw(text, f"command line: --{name}"))
    return layer


# The environment.


def from_environment(
    variables: Mapping[str, str],
    known: Mapping[str, Option],
    name: str = "environment",
    lines: Mapping[str, int] | None = None,
) -> Layer:
    """The options that environment variables set; for secrets also ``<NAME>_FILE``.

    Args:
        variables: all of them; those that set nothing are left alone.
        known: all options.
        name: of the layer, for messages.
        lines: where each variable stands, for a file.
    """
    layer = Layer(name)

    def where(variable: str) -> str:
        line = f" line {lines[variable]}" if lines else ""
        return f"{name}{line}: {variable}"

    for path, option in known.items():
        if option.env in variables:
            layer.put(path, Raw(variables[option.env], where(option.env)))
        file = f"{option.env}_FILE"
        if option.is_secret and variables.get(file, "").strip():
            _from_file(layer, path, Path(variables[file].strip()), where(file))
    return layer


def _from_file(layer: Layer, path: str, file: Path, where: str) -> None:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        layer.problems.append(Problem(path, f"cannot read {file}: {error.strerror}", where))
        return
    except UnicodeDecodeError:
        layer.problems.append(Problem(path, f"cannot read {file}: it is not UTF-8", where))
        return
    except ValueError:
        layer.problems.append(Problem(path, f"{str(file)!r} is no file name", where))
        return
    if not text:
        layer.problems.append(Problem(path, f"{file} is empty", where))
    layer.put(path, Raw(text, where))


def unknown_variables(variables: Mapping[str, str], known: Mapping[str, Option]) -> Iterator[str]:
    """A line for every variable that begins with WAAV_ and sets nothing."""
    names = {option.env for option in known.values()}
    names |= {f"{option.env}_FILE" for option in known.values() if option.is_secret}
    names |= OTHER_VARIABLES
    for variable in sorted(variables):
        if variable.startswith("WAAV_") and variable not in names:
            hint = _without_prefix(variable, names) or closest(variable, names)
            yield f"environment variable {variable} sets nothing{hint}"


def _without_prefix(variable: str, names: Collection[str]) -> str:
    """Some variables have their traditional names: ``PORT``, not ``WAAV_PORT``."""
    short = variable.removeprefix("WAAV_")
    return f" (did you mean {short}?)" if short in names else ""


# The .env file.

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")


def from_dotenv(path: Path, known: Mapping[str, Option]) -> Layer:
    """Read a ``.env`` file, if there is one: ``NAME=value`` lines, comments, quotes. It is not put into the
    environment."""
    problems = []
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    layer = Layer(".env")
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return layer
    except OSError as error:
        layer.problems.append(Problem("", f"cannot read {path}: {error.strerror}"))
        return layer
    except UnicodeDecodeError:
        layer.problems.append(Problem("", f"cannot read {path}: it is not UTF-8"))
        return layer
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            problems.append(Problem("", "is not NAME=value", f"{path} line {number}"))
        elif found[1] in values:
            problems.append(Problem("", f"{found[1]} is set twice", f"{path} line {number}"))
        else:
            values[found[1]], lines[found[1]] = _unquoted(found[2]), number
    layer = from_environment(values, known, ".env", lines)
    layer.problems += problems
    return layer


def _unquoted(text: str) -> str:
    """A value without its quotes and without a comment behind it."""
    if quoted := re.fullmatch(r"""'([^']*)'\s*(?:#.*)?""", text):
        return quoted[1]
    if quoted := re.fullmatch(r'("(?:[^"\\]|\\.)*")\s*(?:#.*)?', text):
        try:
            return str(json.loads(quoted[1]))
        except ValueError:
            return quoted[1][1:-1]
    return re.sub(r"(?:^|\s+)#.*", "", text).strip()
