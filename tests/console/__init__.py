"""The console's pages through Django's test client."""
