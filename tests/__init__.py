"""Tests, arranged as the rooms they are about.

Trial's ``--force-gc`` looks through everything in memory twice per test. What the libraries put there never becomes
garbage: it is loaded and set aside once, here, so that only what tests make is looked through.
"""

import gc

import hypothesis  # noqa: F401

import waav.cli.main
import waav.models.hibari
import waav.models.moonshine
import waav.models.noise
import waav.models.turn
import waav.providers.local
import waav.tap
import waav.testing.contract
import waav.testing.replay  # noqa: F401

gc.collect()
gc.freeze()
