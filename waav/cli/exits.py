"""Exit codes of the command."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
"""It did not work: a configuration that cannot be used, a request that was refused."""
USAGE: Final = 2
MISSING: Final = 3
"""Something it needs is not there: no gateway answers, the port is taken."""
