"""The console's views, one module per part of the navigation."""
