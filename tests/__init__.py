"""Tests, arranged as the rooms they are about.

What tests of time and of random values may rely on, whatever else the machine does, is set here too.

Trial's ``--force-gc`` looks through everything in memory twice per test. What the libraries put there never becomes
garbage: it is loaded and set aside once, here, so that only what tests make is looked through.
"""

import gc

import hypothesis
from twisted.trial import util

import waav.cli.main
import waav.models.hibari
import waav.models.moonshine
import waav.models.noise
import waav.models.turn
import waav.providers.local
import waav.tap
import waav.testing.contract
import waav.testing.replay  # noqa: F401
from tests.waiting import TEST_LIMIT_S

util.DEFAULT_TIMEOUT_DURATION = TEST_LIMIT_S

# How long an example takes is the machine's doing.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")

gc.collect()
gc.freeze()
