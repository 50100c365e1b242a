"""Trees and locks as credentials have them, for suites that run on those of a tenant too."""

from __future__ import annotations

import time

from bridge.files.api import ROOT, FileTree
from bridge.files.path import Path
from bridge.state.api import Locks
from bridge.tenants.api import ALL_RIGHTS, Right
from bridge.tenants.confined import ConfinedLocks, ConfinedTree
from bridge.tenants.metered import MeteredTree
from bridge.tenants.usage import Ledger
from tests.tenants.ledger import SharedUsage

BY_RIGHTS = " by rights"
"""Ends the name of a tree that is used by a credential with all rights to all of it."""

CONFINED = " confined"
"""Ends the name of a tree of which a credential sees one folder, and whose tenant has a quota."""

FOLDER = Path(("a", "b"))
"""That folder. It is called like others that tests make, so that a path taken twice is found."""


def plain_name(name: str) -> str:
    """The name of a tree without what is said of the credential."""
    return name.removesuffix(BY_RIGHTS).removesuffix(CONFINED)


def as_credential(name: str, tree: FileTree) -> FileTree:
    """``tree`` as the credential sees it that ``name`` tells of."""
    if name.endswith(CONFINED):
        tree.mkdir(FOLDER.parent)
        tree.mkdir(FOLDER)
        metered = MeteredTree(tree, Ledger(SharedUsage(time.time), quota=1 << 40))
        return ConfinedTree(metered, ALL_RIGHTS, FOLDER)
    return ConfinedTree(tree, ALL_RIGHTS, ROOT) if name.endswith(BY_RIGHTS) else tree


def rights_of(tree: FileTree) -> Right:
    """What whoever has ``tree`` may do."""
    return tree.rights if isinstance(tree, ConfinedTree) else ALL_RIGHTS


def locks_beside(tree: FileTree, locks: Locks) -> Locks:
    """A tenant's ``locks`` for whoever has ``tree``."""
    return ConfinedLocks(locks, tree.rights, tree.root) if isinstance(tree, ConfinedTree) else locks
