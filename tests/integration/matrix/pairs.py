"""Every pair of values in as few rows as a greedy choice finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

Row = dict[str, str]
_Pair = frozenset[tuple[str, str]]


def pairwise(
    factors: Mapping[str, Sequence[str]], possible: Callable[[Row], bool]
) -> list[Row]:
    """Rows that hold each pair of values of two factors that any row can hold.

    `possible` judges rows, also such that lack factors. Always the same rows.
    """
    missing = {
        frozenset(pair)
        for one, other in combinations(factors, 2)
        for pair in _pairs(one, factors[one], other, factors[other])
        if possible(dict(pair)) and _completed(dict(pair), factors, set(), possible)
    }
    rows: list[Row] = []
    while missing:
        # sorted: sets have no order of their own from run to run
        seed = dict(min(missing, key=lambda pair: sorted(pair)))
        row = _completed(seed, factors, missing, possible, turn=len(rows))
        if row is None:
            raise ValueError(f"No row can hold {seed}.")
        missing -= _held(row)
        rows.append({name: row[name] for name in factors})
    return rows


def _pairs(
    one: str, ones: Sequence[str], other: str, others: Sequence[str]
) -> Iterator[list[tuple[str, str]]]:
    for value in ones:
        for second in others:
            yield [(one, value), (other, second)]


def _completed(
    row: Row,
    factors: Mapping[str, Sequence[str]],
    missing: set[_Pair],
    possible: Callable[[Row], bool],
    turn: int = 0,
) -> Row | None:
    """The row with all factors, each with the value that brings most missing pairs.

    Where several bring as many, they take turns.
    """
    left = [name for name in factors if name not in row]
    if not left:
        return row
    name = left[0]

    def gain(value: str) -> int:
        return len(_held({**row, name: value}) & missing)

    values = list(factors[name])
    start = (turn + len(left)) % len(values)
    for value in sorted(values[start:] + values[:start], key=gain, reverse=True):
        fuller = {**row, name: value}
        if possible(fuller):
            done = _completed(fuller, factors, missing, possible, turn)
            if done is not None:
                return done
    return None


def _held(row: Row) -> set[_Pair]:
    return {frozenset(pair) for pair in combinations(row.items(), 2)}
