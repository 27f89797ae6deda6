"""How many processors there are for us."""

import math
import os
from pathlib import Path
from typing import Final

QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
"""What a container may use (cgroup v2): microseconds of processor time, and the period they are for."""


def usable_cores(quota: Path = QUOTA) -> int:
    """Processors that this process may run on, no more than its container's share of them."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        allowed_us, period_us = quota.read_text().split()
        cores = min(cores, math.ceil(int(allowed_us) / int(period_us)))
    except (OSError, ValueError):
        pass  # "max", or no cgroups
    return max(1, cores)
