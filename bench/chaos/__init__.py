"""Chaos: random jobs on real guests, random deaths, and what must hold all the same.

`plan` draws, by a seed, what is done and what dies. `scene` is the console with its
hosts and guests; `operator`, `killers` and `strangers` carry the plan out; `sight`,
`watch`, `calls`, `images` and `judge` look whether each promise was kept; `table`
prints it.
"""
