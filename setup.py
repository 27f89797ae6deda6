"""Says which Python is needed, and builds from nothing. Everything else stands in setup.cfg.

Older pips look at ``python_requires`` of a folder last, after they have failed to find libraries for that Python, and then
tell only that.
"""

import shutil
import sys

LEAST = (3, 11)

if sys.version_info < LEAST:
    here = ".".join(map(str, sys.version_info[:2]))
    sys.exit(f"waav needs Python {LEAST[0]}.{LEAST[1]} or later; this is Python {here}")

from setuptools import setup  # noqa: E402  an older Python may not have one that works

# Modules that have been renamed or removed since the last build would be installed again.
shutil.rmtree("build/lib", ignore_errors=True)
setup()
