"""The database backend for PostgreSQL; Django asks for a package with a module `base`."""
