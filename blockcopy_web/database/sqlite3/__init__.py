"""The database backend for SQLite; Django asks for a package with a module `base`."""
