"""Settings: one model for each concern, from a TOML file and the environment.

A variable of the environment is named after its key: ``STORJ_BRIDGE_LISTEN__ADDRESS`` is
``address`` in ``[listen]``, and it wins over the file. A key nobody knows is an error, since a
misspelt limit or path would otherwise be a silent default. Secrets come from files or the
environment, never from the TOML file, and never show in a repr or a message.
"""

from bridge.settings.concerns import Store
from bridge.settings.loading import Settings, SettingsError, load
from bridge.settings.values import Address

__all__ = ["Address", "Settings", "SettingsError", "Store", "load"]
