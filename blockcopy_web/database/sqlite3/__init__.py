"""The database backend for SQLite: the module `base`, as Django expects it."""
