"""The outside world: one module a service."""
