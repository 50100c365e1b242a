"""What every store and every wrapper around one must do (restic: internal/backend/test).

A test module makes a subclass named ``Test…`` and a fixture ``store`` that gives an empty
ObjectStore. Every test is about the interface alone; what only one store has (power cuts,
a full disk, a damaged header) stands with that store.
"""

from __future__ import annotations

from tests.store.conformance_changes import ChangeConformance
from tests.store.conformance_content import ContentConformance
from tests.store.conformance_listing import ListingConformance
from tests.store.conformance_multipart import MultipartConformance


class StoreConformance(
    ContentConformance, ListingConformance, ChangeConformance, MultipartConformance
):
    """The whole suite. See the module's docstring."""
