"""The command line `manage.py blockcopy …`: the same verbs, for scripts and people.

Every command is a function from a `Call` to an `Answer`; only the management command
prints and ends the process.
"""
