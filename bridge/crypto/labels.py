"""Every label that keeps one use of a key apart from another, in one place.

HKDF infos, the first bytes of associated data, and the types of age stanzas. None may ever
change: what was sealed under it would not open. No two are equal.
"""

from __future__ import annotations

WRAP_KEY = b"storj-bridge/v1/wrap-key"
"""HKDF info: TRK -> K_wrap, from which each file's stanza key is derived."""

META_KEY = b"storj-bridge/v1/meta-key"
"""HKDF info: TRK -> K_meta, which seals records, spills and intents."""

NAME_KEY = b"storj-bridge/v1/name-key"
"""HKDF info: TNK -> K_name (64 bytes), which seals names."""

ROOT_DIRECTORY = b"storj-bridge/v1/root-directory"
"""HKDF info: TNK -> the root directory's id (16 bytes)."""

FINGERPRINT = b"storj-bridge/v1/fingerprint"
"""HKDF info: K_name -> the vault's fingerprint, which is no secret (16 bytes)."""

KEK_ID = b"storj-bridge/v1/kek-id"
"""HKDF info: KEK -> the id that stands in clear beside what it seals (8 bytes)."""

STANZA_TYPE = b"storj-bridge/k"
"""Type of the bridge's own age stanza."""

PADDING_TYPE = b"storj-bridge/p"
"""Type of the age stanza that pads every header to one size."""

FILE_KEY = b"storj-bridge/v1/file-key"
"""HKDF info: K_wrap and a stanza's salt -> the key that seals one file key; and the start of that
seal's associated data."""

NAME = b"storj-bridge/v1/name"
"""First associated datum of a sealed name; the second is the parent directory's id."""

RECORD = b"storj-bridge/v1/record"
"""Start of a record's associated data."""

SPILL = b"storj-bridge/v1/spill"
"""Start of a spill's associated data."""

INTENT = b"storj-bridge/v1/intent"
"""Start of the associated data of a directory copy's intent."""

KEYRING = b"storj-bridge/v1/keyring"
"""Start of a keyring's associated data."""

SECRET = b"storj-bridge/v1/secret"
"""HKDF info: KEK -> the key that seals grants and other secrets; and the start of such a seal's
associated data."""
