"""How quick the pages are, and how heavy, over a large fleet that was made up.

    python -m bench.pages [--small] [--database URL] [--requests N] [--only PART]

Each list and each detail page is asked for again and again from the real web server
(gunicorn, one worker), over PostgreSQL and Redis, by one browser at a time. Beside it
stands a bare view of Django's that makes one indexed query, behind the same server and
the same middleware: what lies between the two is the page's own. The queries are
counted in this process, with the same database.

The exit status is 1 if a page misses an aim: 100 ms at the 95th percentile, 150 KB at
the first visit (page, styles, scripts, icons, as they go over the wire), 30 KB after
it. That a page takes a constant number of queries is for
`tests/console/test_queries.py` to say.
"""
