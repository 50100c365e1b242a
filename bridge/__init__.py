"""An encrypted file store on Storj for WebDAV clients.

Layers import downwards only: ``http -> webdav -> files -> crypto -> store``; see
``docs/architecture.md``.
"""

__version__ = "0.1.0"
