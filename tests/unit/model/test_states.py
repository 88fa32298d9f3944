"""The state tables, by enumeration."""

import itertools

import pytest

from lodge.model.instance import (
    Drift,
    InstanceState,
    InstanceStatus,
    Power,
    drift,
    state_word,
)
from lodge.model.verbs import ALLOWED, Verb, WrongInstanceStateError, allowed_verbs, check_verb

SEEN = [*Power, None]


@pytest.mark.parametrize(("wanted", "seen"), list(itertools.product(Power, SEEN)))
def test_exactly_one_word_describes_every_pair_of_wish_and_sight(
    wanted: Power, seen: Power | None
) -> None:
    word = state_word(wanted, InstanceStatus(power=seen))
    assert word in InstanceState
    if seen is None:
        assert word is InstanceState.UNKNOWN
    elif wanted == seen:
        assert word.value == seen.value


def test_a_dead_guest_that_should_run_is_told_as_such() -> None:
    assert drift(Power.RUNNING, Power.STOPPED) is Drift.MUST_START
    status = InstanceStatus(power=Power.STOPPED, crash_count=3, reason="crashed")
    assert state_word(Power.RUNNING, status) is InstanceState.ERROR


def test_a_held_guest_is_shown_as_paused() -> None:
    assert state_word(Power.RUNNING, InstanceStatus(power=Power.PAUSED)) is InstanceState.PAUSED


@pytest.mark.parametrize(("verb", "seen"), list(itertools.product(Verb, SEEN)))
def test_a_verb_passes_or_is_refused_with_actual_and_required_state(
    verb: Verb, seen: Power | None
) -> None:
    if seen in ALLOWED[verb]:
        check_verb(verb, "web", seen)
        assert verb in allowed_verbs(seen)
        return
    with pytest.raises(WrongInstanceStateError) as refused:
        check_verb(verb, "web", seen)
    assert refused.value.details["actual"] == ("unknown" if seen is None else seen.value)
    assert set(refused.value.details["required"]) == {power.value for power in ALLOWED[verb]}


def test_every_state_can_be_left() -> None:
    for seen in Power:
        assert allowed_verbs(seen)
