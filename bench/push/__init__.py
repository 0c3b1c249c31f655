"""How long from a change of state in the worker to the changed element in a browser.

    python -m bench.push [--copies N] [--streams N]

The whole console over PostgreSQL and a private libvirt host, two web workers as in
production, and real copies of a small disk that are pivoted. The change is the moment
at which the transition's transaction was committed, as PostgreSQL notes it
(track_commit_timestamp); the end is the moment at which a real Chromium shows that
state, or a later one of the same job, in the list of jobs and on the job's own page.
So many more event streams stand meanwhile, each with a session of its own. Only what
the worker commits counts, not what the web process does.

Beside it: from a publish on Redis to the same event at a plain client of the stream,
which fetches nothing and draws nothing.

The exit status is 1 if an aim is missed: a median of 100 ms, 300 ms at the 95th
percentile.
"""
