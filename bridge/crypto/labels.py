"""Every label that keeps one use of a key apart from another, in one place.

HKDF infos and the first bytes of associated data. None may ever change: files sealed under
them would not open.
"""

from __future__ import annotations

WRAP_KEY = b"storj-bridge/v1/wrap"
"""HKDF info: TRK -> K_wrap, from which each file's stanza key is derived."""

META_KEY = b"storj-bridge/v1/meta"
"""HKDF info: TRK -> K_meta, which seals records, spills and intents."""

NAME_KEY = b"storj-bridge/v1/name"
"""HKDF info: TNK -> K_name (64 bytes), which seals names."""

ROOT_DIRECTORY = b"storj-bridge/v1/root"
"""HKDF info: TNK -> the root directory's id (16 bytes)."""

KEK_ID = b"storj-bridge/v1/kek-id"
"""HKDF info: KEK -> the id that stands in clear beside what it seals (8 bytes)."""

STANZA = b"storj-bridge/k"
"""Type of the bridge's own age stanza; HKDF info of its key and start of its associated data."""

PADDING = b"storj-bridge/p"
"""Type of the age stanza that pads every header to one size."""

NAME = b"storj-bridge/v1/name"
"""First associated datum of a sealed name; the second is the parent directory's id."""

RECORD = b"storj-bridge/v1/record"
"""Start of a record's associated data."""

SPILL = b"storj-bridge/v1/spill"
"""Start of a spill's associated data."""

INTENT = b"storj-bridge/v1/intent"
"""Start of a directory copy's intent's associated data."""

KEYRING = b"storj-bridge/v1/keyring"
"""Start of a keyring's associated data."""
