"""Whatever dies: every job tells the truth afterwards, and nothing was done twice.

    what dies or meddles                      where, and on which hosts and database
    processes, Redis, the database            test_processes (both databases)
    two of everything                         test_two_of_everything (both databases)
    an older release with jobs in flight      test_versions (both databases)
    libvirt's daemon, guests                  test_hypervisor (alder, birch; SQLite)
    the daemon in the moment of a pivot       test_hypervisor_lost (cedar; SQLite)
    guests that are stuck, hosts that are     test_hypervisor_stuck (rowan; SQLite)
    the storage of destination and source     test_storage (birch; SQLite)
    strangers, persistent definitions         test_strangers (elm; PostgreSQL)
    all at random                             test_chaos

`kit` has consoles, guests and waits, `operator` those who ask, `yard` the console that
the tests on SQLite of hosts and storage share. `tests.promises` judges.
"""
