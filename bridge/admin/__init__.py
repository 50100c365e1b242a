"""The admin API: tenants, credentials, tokens and usage over HTTP and JSON."""

from bridge.admin.door import AdminDoor
from bridge.admin.problems import Meaning

__all__ = ["AdminDoor", "Meaning"]
