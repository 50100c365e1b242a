"""The WebDAV door: one protocol, one verb to a file, over any FileTree."""

from bridge.webdav.call import Settings
from bridge.webdav.door import WebDAVDoor
from bridge.webdav.share import Quota

__all__ = ["Quota", "Settings", "WebDAVDoor"]
