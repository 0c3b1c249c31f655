"""The database backend for PostgreSQL: the module `base`, as Django expects it."""
