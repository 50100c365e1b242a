"""The admin API: tenants, credentials, tokens and usage over HTTP and JSON."""

from bridge.admin.door import AdminDoor
from bridge.admin.problems import Meaning
from bridge.admin.routes import ROOT

__all__ = ["ROOT", "AdminDoor", "Meaning"]
