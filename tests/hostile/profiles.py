"""How long what is made up goes on: a moment in every run, and as long as it takes with `just fuzz`."""

import os

from hypothesis import HealthCheck, settings

IS_LONG = bool(os.environ.get("LEASEHOLD_TEST_LONG"))
ENDURING = settings(
    max_examples=2_000 if IS_LONG else 150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.differing_executors,
    ],
)
"""The settings of a property of a parser."""
