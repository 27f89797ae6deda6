"""Who may import whom, and what files and classes are called, read from the source (docs/rooms.md)."""

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
ROWS = (
    ("errors", "secret", "settings", "interfaces"),
    ("speech", "net", "tasks"),
    ("models", "cache"),
    ("providers", "links"),
    ("registry",),
    ("access",),
    ("graph", "telephony"),
    ("session",),
    ("gateway", "ops"),
    ("config",),
    ("service", "testing"),
    ("tap", "cli"),
)
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}

ASYNCIO = ("waav.net", "waav.links.grpc", "waav.telephony.room")
"""Where asyncio may be imported: sockets on an event loop, and libraries that know nothing else."""

VOCABULARY = ("cli", "gateway/routes", "graph/nodes", "providers")
"""Folders whose files are named in somebody else's words: commands, paths, kinds of nodes, vendors and their verbs."""

SAME_KIND = {"__init__", "settings", "link", "worker", "build", "states"}
"""Names that several rooms use for one kind of thing: a room's settings; what runs a dialogue over one kind of
connection, and what all of those have in common; a worker's program and its service tree; what puts a room's
things together; the states of a thing that has a life."""


def room_of(module: str) -> str:
    """The room of ``waav.x.y``: x, a folder or a single file."""
    return [*module.split("."), ""][1]


def sources() -> Iterator[tuple[Path, str, ast.Module]]:
    """Every module of ours: its file, its dotted name, its tree."""
    for path in sorted((ROOT / "waav").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join(parts), ast.parse(path.read_text())


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The dotted names a module imports, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


class RoomTests(SynchronousTestCase):
    def test_rooms_import_only_what_stands_above_them(self) -> None:
        """A room imports itself and rooms in rows above its own; nobody imports testing."""
        wrong = []
        for path, module, tree in sources():
            room = room_of(module)
            for name, line in imports(tree):
                if not name.startswith("waav."):
                    continue
                other = room_of(name)
                if other == room or other in ("__version__", ""):
                    continue
                if room == "":
                    wrong.append(f"{path}:{line} the package root imports {other}")
                elif other == "testing" or ROW[other] >= ROW[room]:
                    wrong.append(f"{path}:{line} {room} imports {other}")
        self.assertEqual(wrong, [])

    def test_every_room_has_a_row(self) -> None:
        """A new folder or module of ``waav`` is placed on purpose."""
        rooms = {room_of(module) for _, module, _ in sources()} - {"__init__"}
        self.assertEqual(rooms - set(ROW), set())

    def test_pure_rooms_touch_neither_network_nor_clock(self) -> None:
        """speech, providers and models import no Twisted but ``IPlugin``, no sockets and no clock."""
        wrong = []
        for path, module, tree in sources():
            if room_of(module) not in ("speech", "providers", "models"):
                continue
            for name, line in imports(tree):
                is_twisted = name.startswith(("twisted", "autobahn", "treq", "klein"))
                is_clock = room_of(module) != "models" and name.split(".")[0] in ("time", "socket")
                # Models are fetched by a command that runs before any reactor, by blocking HTTP.
                if (is_twisted and name != "twisted.plugin.IPlugin") or is_clock:
                    wrong.append(f"{path}:{line} {name}")
        self.assertEqual(wrong, [])

    def test_asyncio_is_for_sockets_only(self) -> None:
        """The reactor is Twisted's: only what puts its sockets on an event loop imports asyncio."""
        self.assertEqual(
            [
                f"{path}:{line}"
                for path, module, tree in sources()
                for name, line in imports(tree)
                if name.split(".")[0] == "asyncio" and not module.startswith(ASYNCIO)
            ],
            [],
        )

    def test_the_reactor_is_an_argument(self) -> None:
        """No module of ours imports the reactor when it is imported itself: that would install the wrong one."""
        wrong = []
        for path, _, tree in sources():
            functions = [
                node
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            inside = {
                id(node)
                for function in functions
                for node in ast.walk(function)
                if node != function
            }
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and id(node) not in inside:
                    names = {f"{node.module}.{alias.name}" for alias in node.names}
                    if "twisted.internet.reactor" in names:
                        wrong.append(f"{path}:{node.lineno}")
        self.assertEqual(wrong, [])

    def test_packages_hold_a_docstring_only(self) -> None:
        """``__init__`` files say what a folder is and export nothing, but for the root and a vendor's one Provider."""
        for path, module, tree in sources():
            if path.name != "__init__.py" or module == "waav.__init__":
                continue
            self.assertTrue(ast.get_docstring(tree), path)
            is_vendor = path.parent.parent.name == "providers"
            values = [
                node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)
            ]
            allowed = 2 if is_vendor else 1
            self.assertLessEqual(len(values if is_vendor else tree.body), allowed, path)

    def test_no_circles_of_files(self) -> None:
        """No two files import each other, directly or through others; not even for types alone."""
        self.assertEqual(circles(file_graph()), [])

    def test_a_circle_is_found(self) -> None:
        """The rule above sees a circle of three, and one of a package with what is in it."""
        self.assertEqual(
            circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}), [["a", "b", "c"]]
        )


def file_graph() -> dict[str, set[str]]:
    """Which file imports which."""
    names = {module.removesuffix(".__init__") for _, module, _ in sources()}
    graph: dict[str, set[str]] = {}
    for _, module, tree in sources():
        name = module.removesuffix(".__init__")
        found = set()
        for imported, _ in imports(tree):
            while imported not in names and "." in imported:
                imported = imported.rpartition(".")[0]
            found.add(imported)
        graph[name] = (found & names) - {name}
    return graph


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of nodes that reach each other."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for other in graph[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    reach = {name: reached(name) for name in graph}
    groups = {
        tuple(sorted(other for other in reach[name] if name in reach[other]))
        for name in graph
        if name in reach[name]
    }
    return sorted(list(group) for group in groups)


class NameTests(SynchronousTestCase):
    def test_a_prefix_is_a_folder(self) -> None:
        """Three files of one folder whose names begin alike are a folder that was not made."""
        found = Counter(
            (path.parent, path.stem.partition("_")[0])
            for path, _, _ in sources()
            if path.stem[0] != "_"
        )
        self.assertEqual([where for where, times in found.items() if times >= 3], [])

    def test_a_file_name_means_one_thing(self) -> None:
        """Two files of different rooms have the same name only where they are the same kind of thing."""
        stems = Counter(
            path.stem
            for path, _, _ in sources()
            if not path.relative_to(ROOT / "waav").as_posix().startswith(VOCABULARY)
        )
        self.assertEqual(
            [stem for stem, times in stems.items() if times > 1 and stem not in SAME_KIND], []
        )

    def test_a_class_name_means_one_thing(self) -> None:
        """One public name, one class: whoever reads ``Share`` anywhere knows which it is.

        Left out are the vendors' verbs and each model's own classes, which are alike on purpose, and the messages
        of callers, which are named as in the protocol.
        """
        owners: dict[str, list[str]] = {}
        for path, _, tree in sources():
            where = path.relative_to(ROOT / "waav").as_posix()
            if where.startswith(
                ("providers/", "models/", "graph/nodes/", "gateway/voice/messages")
            ):
                continue
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    owners.setdefault(node.name, []).append(where)
        self.assertEqual({name: where for name, where in owners.items() if len(where) > 1}, {})


class PageTests(SynchronousTestCase):
    PAGE = ROOT / "docs" / "rooms.md"

    def test_what_the_page_names_is_there(self) -> None:
        """Every path on the page about rooms, and in its picture, leads to a file or folder."""
        text = self.PAGE.read_text("utf-8")
        paths = set(re.findall(r"`((?:waav|tests|docs|twisted)/[\w/.]*)`", text))
        self.assertGreater(len(paths), 20)
        self.assertEqual([path for path in sorted(paths) if not (ROOT / path).exists()], [])
        picture = (ROOT / "docs" / "rooms" / "call.svg").read_text("utf-8")
        drawn = set(re.findall(r">([\w/]+\.py)<", picture))
        self.assertGreater(len(drawn), 10)
        files = {path.relative_to(ROOT).as_posix() for path, _, _ in sources()}
        self.assertEqual(
            [one for one in drawn if not any(file.endswith(f"/{one}") for file in files)], []
        )

    def test_rows_are_those_of_the_test(self) -> None:
        """The page's rows are the ones that imports are checked by, and every room that there is stands in one."""
        rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", self.PAGE.read_text("utf-8"), re.MULTILINE)
        self.assertEqual(
            [set(re.findall(r"`(\w+)`", rooms)) for _, rooms in rows],
            [set(row) - {"telephony"} for row in ROWS],
        )
