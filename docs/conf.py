"""How the manual is built: sphinx-build -W docs docs/_build."""

import re
from pathlib import Path

project = "WaaV"
author = "The WaaV authors"
_source = (Path(__file__).parent.parent / "waav" / "__init__.py").read_text()
release = re.findall(r'__version__: Final = "(.+)"', _source)[0]
extensions = ["myst_parser"]
myst_enable_extensions = ["deflist"]
exclude_patterns = ["_build", "news"]
myst_heading_anchors = 3
html_title = f"WaaV {release}"
html_theme = "alabaster"
