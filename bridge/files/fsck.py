"""Checks a vault and, asked to, repairs it: nothing unreferenced, nothing damaged unseen.

Compares what a survey reaches with all that is stored. What is young, or belongs to a copy
that still runs, is left alone, so it may run beside the service. Repair never removes content
that could be wanted: a directory or entry that hangs nowhere goes to ``/lost+found``; only
leftovers whose origin is known (a crashed copy, a spill or body nobody names) are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from bridge.crypto.record import Kind, Record
from bridge.files.change import LEASE_WAIT, STRUCTURE
from bridge.files.copies import INTENT_LIFE
from bridge.files.errors import AlreadyExists
from bridge.files.findings import Finding, Problem, Report
from bridge.files.layout import id_bytes, id_text
from bridge.files.path import Path
from bridge.files.rebuild import rebuild_record
from bridge.files.reseal import entry_place, reseal
from bridge.files.survey import Survey
from bridge.files.translate import translated
from bridge.files.vault_tree import VaultTree
from bridge.store.api import ObjectInfo

LOST_AND_FOUND = "lost+found"

_AREAS = ("d/", "r/", "c/", "o/", "u/", "x/", "recovery/")


class Fsck:
    """One check of one vault. ``min_age``: seconds for which what is unreferenced is left alone."""

    def __init__(
        self,
        tree: VaultTree,
        *,
        repair: bool = False,
        min_age: float = INTENT_LIFE,
        progress: Callable[[int], None] = lambda _files: None,
    ) -> None:
        self._tree = tree
        self._vault = tree.vault
        self._repair = repair
        self._kept_after = self._vault.clock() - min_age
        self._progress = progress
        self._problems: list[Problem] = []

    @translated
    def run(self) -> Report:
        """Check, and repair if asked to. Raises FileError when it cannot go on."""
        damaged: list[tuple[Finding, ObjectInfo]] = []
        survey = Survey(
            self._vault, lambda finding, info: damaged.append((finding, info)), self._progress
        )
        survey.run()
        self._check_intents(survey)
        self._check_directories(survey)
        for finding, info in damaged:
            self._note(finding, info.key, self._mend(finding, info))
        self._check_extras(survey)
        self._check_leases()
        self._check_uploads()
        self._check_areas()
        return Report(survey.files, survey.in_tree, survey.bytes, tuple(self._problems))

    def _note(self, finding: Finding, key: str, repaired: str = "") -> None:
        self._problems.append(Problem(finding, key, repaired))

    def _is_old(self, info: ObjectInfo) -> bool:
        return info.modified <= self._kept_after

    def _check_intents(self, survey: Survey) -> None:
        """A copy that runs refers to what it has made; one that died does so no longer."""
        vault = self._vault
        for info in list(vault.store.list(vault.layout.intents)):
            copy = id_bytes(info.key[len(vault.layout.intents) :])
            if copy is None:
                continue
            linked = copy in survey.directories
            survey.reach(copy)
            if not self._is_old(info):
                continue
            repaired = ""
            if self._repair:
                if not linked:
                    vault.put_removed(copy)
                vault.store.delete(info.key)
                repaired = "kept, it is linked" if linked else "removed"
            self._note(Finding.STALE_INTENT, info.key, repaired)

    def _check_directories(self, survey: Survey) -> None:
        lost = self._unreferenced(survey)
        if not lost:
            return
        if self._repair:
            # A directory moved while the survey ran may have been missed: look again while
            # nobody can move any.
            with self._vault.state.acquire([STRUCTURE], [], wait=LEASE_WAIT) as lease:
                again = Survey(self._vault, lambda _finding, _info: None, lambda _files: None)
                again.run()
                lease.unchanged()
                lost = [top for top in lost if top not in again.directories]
        for top in lost:
            survey.reach(top)
            repaired = self._attach_directory(top) if self._repair else ""
            self._note(Finding.UNREFERENCED_DIRECTORY, self._vault.layout.directory(top), repaired)

    def _unreferenced(self, survey: Survey) -> list[bytes]:
        """The tops of old subtrees that nothing reaches."""
        vault = self._vault
        start = len(vault.layout.directories)
        prefixes = (info.key for info in vault.store.list(vault.layout.directories))
        ids = (id_bytes(prefix[start:].rstrip("/")) for prefix in prefixes)
        lost = {
            directory
            for directory in ids
            if directory is not None
            and directory not in survey.directories
            and all(map(self._is_old, vault.store.list(vault.layout.directory(directory))))
        }
        tops: list[bytes] = []
        below: set[bytes] = set()
        for directory in sorted(lost):
            for _, node in survey.entries(directory):
                child = node.directory_id
                if child is not None and child != directory:
                    below.add(child)
        for directory in sorted(lost - below) + sorted(lost & below):
            reached = Survey(vault, lambda _finding, _info: None, lambda _files: None)
            if directory in lost:
                reached.reach(directory)
                lost -= reached.directories
                tops.append(directory)
        return tops

    def _attach_directory(self, directory: bytes) -> str:
        vault = self._vault
        path = self._lost_and_found().child(id_text(directory))
        record = Record(kind=Kind.DIRECTORY, object_id=directory, created=vault.clock())
        place = vault.walker.place(path)
        with vault.changes.hold(place, links=True) as change:
            change.begin()
            version = vault.put_record(place.key, record, vault.keys.seal_record(record))
            change.became(place, vault.node(place, record, version))
        return f"attached at {path}"

    def _lost_and_found(self) -> Path:
        path = Path((LOST_AND_FOUND,))
        with suppress(AlreadyExists):
            self._tree.mkdir(path)
        return path

    def _mend(self, finding: Finding, info: ObjectInfo) -> str:
        """Mend one entry, if it can be and is asked for; says what was done."""
        if not self._repair:
            return ""
        if finding is Finding.DAMAGED_RECORD:
            return self._rebuild(info)
        if finding is Finding.FOREIGN_NAME:
            return self._attach_entry(info)
        return ""

    def _rebuild(self, info: ObjectInfo) -> str:
        vault = self._vault
        _, directory_text, sealed = info.key.rsplit("/", 2)
        directory = id_bytes(directory_text)
        if directory is None:
            return ""
        norm = vault.keys.names.open(directory, sealed)
        place = vault.walker.at([directory], (), norm)
        with vault.changes.hold(place) as change:
            change.begin()
            rebuilt = rebuild_record(vault, info)
            change.became(place, vault.walker.read(place))
        return "record rebuilt from the body" if rebuilt else ""

    def _attach_entry(self, info: ObjectInfo) -> str:
        """Give an entry found under a folder that it does not belong to a name it has lost."""
        vault = self._vault
        path = self._lost_and_found().child(f"entry-{id_text(vault.new_id())}")
        place = vault.walker.place(path)
        found = entry_place(vault, info.key)
        with vault.changes.hold(place, read_only=[found], links=True) as change:
            change.begin()
            reseal(vault, info.key)
            vault.store.move(info.key, place.key)
            change.became(place, vault.walker.read(place))
        return f"attached at {path}"

    def _check_extras(self, survey: Survey) -> None:
        layout = self._vault.layout
        loose = [
            (finding, prefix, info)
            for finding, prefix, named in (
                (Finding.UNREFERENCED_BODY, layout.bodies, survey.bodies),
                (Finding.UNREFERENCED_SPILL, layout.spills, survey.spills),
            )
            for info in self._loose(prefix, named)
        ]
        repaired = ""
        if loose and self._repair:
            named, quiet = self._look_again()
            loose = [one for one in loose if id_bytes(one[2].key[len(one[1]) :]) not in named]
            repaired = "removed" if quiet else ""
        for finding, _, info in loose:
            if repaired:
                self._vault.store.delete(info.key)
            self._note(finding, info.key, repaired)

    def _look_again(self) -> tuple[set[bytes], bool]:
        """What is named beside entries, and whether nothing changed while that was looked for.

        A file that was moved during a survey, to where that had been already, may have been missed:
        what it names must not be removed.
        """
        state = self._vault.state
        with state.acquire([STRUCTURE], [], wait=LEASE_WAIT) as lease:
            first = Survey(self._vault, lambda _finding, _info: None, lambda _files: None)
            first.run()
            directories = sorted(first.directories)
            before = state.read(directories)
            again = Survey(self._vault, lambda _finding, _info: None, lambda _files: None)
            again.run()
            quiet = state.read(directories) == before and not any(one.changing for one in before)
            lease.unchanged()
        named = first.bodies | first.spills | again.bodies | again.spills
        return named, quiet and again.directories <= first.directories

    def _loose(self, prefix: str, named: set[bytes]) -> Iterator[ObjectInfo]:
        for info in self._vault.store.list(prefix):
            if id_bytes(info.key[len(prefix) :]) not in named and self._is_old(info):
                yield info

    def _check_leases(self) -> None:
        stale = self._vault.state.stale_leases()
        if stale and self._repair:
            self._vault.state.clear_stale_leases()
        for lease in stale:
            key = f"{id_text(lease.directory)}/{lease.name.decode('ascii', 'replace')}"
            self._note(Finding.STALE_LEASE, key, "cleared" if self._repair else "")

    def _check_uploads(self) -> None:
        vault = self._vault
        for upload in vault.store.list_multiparts(vault.layout.prefix):
            if upload.started <= self._kept_after:
                if self._repair:
                    vault.store.abort_multipart(upload.key, upload.upload_id)
                self._note(Finding.STALE_UPLOAD, upload.key, "aborted" if self._repair else "")

    def _check_areas(self) -> None:
        prefix = self._vault.layout.prefix
        known = {prefix + area for area in _AREAS}
        for info in self._vault.store.list(prefix):
            if info.key not in known:
                self._note(Finding.UNKNOWN_OBJECT, info.key)
