"""When a trial has broken a promise, and when its harm was none."""

from dataclasses import replace

import pytest

from faults.fault import Fault
from faults.judge import Verdict
from faults.kinds import ALL
from faults.stage import Stage
from faults.trial import Outcome


async def nothing(_stage: Stage) -> None: ...


QUIET = Fault("quiet", "Nobody notices.", nothing, shown_by="struck", is_unnoticed=True)
LOUD = replace(QUIET, shown_by="refused", is_unnoticed=False)


def outcome(fault: Fault = QUIET, *, struck: int = 1, p99_s: float = 0.1, **verdict: int) -> Outcome:
    """Return what came of a fault; by default all is as promised."""
    return Outcome(
        fault=fault,
        verdict=Verdict(**verdict),  # type: ignore[arg-type]
        harm_s=1.0,
        quiet_p99_ms=10.0,
        harm_p99_s=p99_s,
        served_after_s=0.0,
        back_after_s=0.0,
        left_processes=0,
        left_connections=0,
        left_files=0,
        badly_ended=0,
        restarts=0,
        struck=struck,
    )


def test_a_harm_that_met_nothing_proves_nothing() -> None:
    assert outcome().broken == {}
    assert outcome(struck=0).broken == {"harm not seen": 1}
    assert outcome(LOUD, refused=1).broken == {}
    assert outcome(LOUD).broken == {"harm not seen": 1}


@pytest.mark.parametrize("figure", ["refused", "limited", "cut"])
def test_whoever_is_refused_or_cut_off_has_noticed(figure: str) -> None:
    assert outcome(**{figure: 2}).broken == {"noticed": 2}
    assert outcome(LOUD, **{"refused": 1, figure: 2}).broken == {}


def test_whoever_waits_has_noticed() -> None:
    assert outcome(p99_s=11.0).broken == {"noticed by its time": 1}
    assert outcome(LOUD, refused=1, p99_s=11.0).broken == {}


def test_every_fault_says_what_shows_its_harm() -> None:
    assert {fault.shown_by for fault in ALL} == {"refused", "renewed", "restarts", "struck"}
