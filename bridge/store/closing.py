"""What all that can be closed has in common: used in a ``with``, it is closed at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """A context manager over ``close``."""

    __slots__ = ()

    @abstractmethod
    def close(self) -> None:
        """Release what it holds; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
