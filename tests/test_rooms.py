"""Who may import whom (style.md 2.2), read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
ROWS = (
    ("errors", "secret", "settings", "tasks", "interfaces"),
    ("speech", "net"),
    ("models",),
    ("providers", "links"),
    ("registry",),
    ("graph", "telephony"),
    ("session",),
    ("gateway", "ops"),
    ("config",),
    ("tap", "testing"),
    ("cli",),
)
ROW = {room: number for number, rooms in enumerate(ROWS) for room in rooms}


def room_of(module: str) -> str:
    """The room of ``waav.x.y``; ``config_text`` is in ``config``, as ``cli_serve`` is in ``cli``."""
    name = [*module.split("."), ""][1]
    for split in ("config", "cli", "tap"):
        if name.startswith(f"{split}_"):
            return split
    return name


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
                if name.split(".")[0] == "asyncio" and room_of(module) != "net"
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
        """``__init__`` files say what a room is and export nothing, but for the package root."""
        for path, module, tree in sources():
            if path.name == "__init__.py" and module != "waav.__init__":
                self.assertTrue(
                    all(
                        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                        for node in tree.body
                    ),
                    path,
                )
                self.assertTrue(ast.get_docstring(tree), path)
