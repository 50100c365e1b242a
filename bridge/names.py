"""What the names of tenants, labels, buckets and programs may be: patterns of the whole name.

They are written so that Python, Pydantic and JSON Schema read them alike.
"""

TENANT = r"^[a-z0-9][a-z0-9-]{0,62}$"
"""A tenant's id."""

LABEL = r"^([A-Za-z0-9]([A-Za-z0-9_.@-]{0,126}[A-Za-z0-9])?)?$"
"""A credential's label; "" is the one named like its tenant."""

BUCKET = r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"
"""A bucket on Storj."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word, no secret

PRODUCT = rf"^{_TOKEN}(/{_TOKEN})?$"
"""RFC 9110, section 10.1.5: a product, perhaps with its version. A partner is named like one."""

LONGEST_PRODUCT = 200
"""Characters."""
