"""The engine on real hosts: tasks called by hand, no worker in between."""
