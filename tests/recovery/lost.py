"""A vault whose bridge is lost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.recovery.document import Ended, Person, commands
from tests.recovery.scene import Scene, Tree, on_disk


@dataclass
class Lost:
    """A vault whose bridge is lost, and somebody who has what the document asks for."""

    scene: Scene
    person: Person
    heading: str
    named: dict[str, str]

    def recover(self, *, folder: str = "") -> tuple[Ended, Tree]:
        """Run the document's last command, for another folder than the root if asked."""
        command = commands(self.heading)[-1] + f" {folder}"
        ended = self.person.run(command, **self.named)
        return ended, on_disk(self.target)

    @property
    def target(self) -> Path:
        return self.person.folder / "recovered"
