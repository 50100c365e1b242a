"""What fsck can find, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Finding(Enum):
    """What can be wrong; the value says it in words."""

    UNREFERENCED_DIRECTORY = "a folder that nothing links to"
    UNREFERENCED_BODY = "a body that no entry names"
    UNREFERENCED_SPILL = "spilled properties that no record names"
    MISSING_BODY = "an entry whose body is missing"
    MISSING_SPILL = "an entry whose spilled properties are missing"
    DAMAGED_RECORD = "an entry whose record does not open"
    FOREIGN_NAME = "an entry whose name does not belong to its folder"
    LINKED_TWICE = "a folder that is linked at two places"
    STALE_INTENT = "a folder copy that died"
    STALE_LEASE = "a lease whose holder died"
    STALE_UPLOAD = "a multipart upload that nobody finished"
    UNKNOWN_OBJECT = "an object that is no part of the format"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. ``key`` names the object; ``repaired`` says what was done, or is empty."""

    finding: Finding
    key: str
    repaired: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found, and the counts of what the tree holds (``bytes`` of content)."""

    files: int
    directories: int
    bytes: int
    problems: tuple[Problem, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is left to repair."""
        return all(problem.repaired for problem in self.problems)
