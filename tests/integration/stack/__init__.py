"""The whole console, its processes running, some of them killed."""
