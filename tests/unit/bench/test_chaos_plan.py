"""The same seed draws the same plan."""

from __future__ import annotations

from bench.chaos.plan import KINDS, Plan


def test_a_seed_is_a_plan() -> None:
    first, second = Plan(7, 4), Plan(7, 4)
    assert [first.draw() for _ in range(50)] == [second.draw() for _ in range(50)]


def test_another_seed_is_another_plan() -> None:
    assert Plan(7, 4).draw() != Plan(8, 4).draw()


def test_up_to_four_die_at_a_time_each_in_another_way() -> None:
    plan = Plan(1, 4)
    rounds = [[kill.kind for kill in plan.draw().kills] for _ in range(100)]
    assert {len(kinds) for kinds in rounds} == {1, 2, 3, 4}
    assert all(len(set(kinds)) == len(kinds) for kinds in rounds)


def test_everything_dies_sooner_or_later() -> None:
    plan = Plan(1, 4)
    killed = {kill.kind for _ in range(200) for kill in plan.draw().kills}
    assert killed == set(KINDS)
