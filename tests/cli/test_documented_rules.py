"""docs/preflight.md has every rule, with the levels that it can have."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from jobs.preflight import judge

ROOT = Path(__file__).parents[2]
LEVELS = ("notice", "warn", "stop")
_ROW = re.compile(r"^\| `(\w+)` \| ([\w, ]+) \| .+ \| .+ \|$", re.MULTILINE)
DOCUMENTED = dict(_ROW.findall((ROOT / "docs/preflight.md").read_text()))
# A finding that is no rule's answer carries its name itself.
_NAMED = re.compile(r"Finding\(\s*\"(\w+)\"")


def rules() -> dict[str, str]:
    """Return the rules by name, with the module of each."""
    return {rule.__name__: rule.__module__ for rule in (*judge.KNOWN, *judge.SEEN)}


def named_elsewhere() -> set[str]:
    files = (ROOT / "jobs").rglob("*.py")
    return {name for file in files for name in _NAMED.findall(file.read_text())}


def calls_of(module: str) -> dict[str, set[str]]:
    """Return, for each function of a module, the names that it calls."""
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
    return {
        function.name: {
            call.func.id
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        }
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
    }


def levels_of(rule: str, module: str) -> list[str]:
    """Return the levels that a rule can have besides pass, its helpers' included."""
    calls = calls_of(module)
    reached, ahead = set(), {rule}
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead |= calls.get(name, set()) - reached
    return [level for level in LEVELS if level in reached]


def test_every_rule_is_documented_and_no_other() -> None:
    assert set(DOCUMENTED) == set(rules()) | named_elsewhere()


@pytest.mark.parametrize("rule", rules())
def test_the_levels_of_a_rule_are_as_documented(rule: str) -> None:
    assert DOCUMENTED[rule].split(", ") == levels_of(rule, rules()[rule])
