"""Things by name: register, get, list; an unknown name is answered with the nearest known one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from dojang.errors import ConfigError, did_you_mean, listing

T = TypeVar("T")


class Registry(Generic[T]):
    """A table of named things of one kind.

    Args:
        kind: What the things are, in the singular; it stands in the messages ("model", "optimizer").
        code: The error code for an unknown name.

    Example:
        >>> shapes = Registry[int]("shape", "C203")
        >>> shapes.add("square", 4)
        4
        >>> shapes["square"]
        4
    """

    def __init__(self, kind: str, code: str) -> None:
        self.kind, self.code = kind, code
        self._things: dict[str, T] = {}

    def add(self, name: str, thing: T) -> T:
        """Enter a thing under a name that is still free; gives the thing back."""
        if name in self._things:
            raise ConfigError(self.code, f"there is a {self.kind} {name!r} already.", fix="choose another name.")
        self._things[name] = thing
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """The same as a decorator."""
        return lambda thing: self.add(name, thing)

    def __getitem__(self, name: str) -> T:
        if name in self._things:
            return self._things[name]
        raise ConfigError(
            self.code,
            f"unknown {self.kind} {name!r}.{did_you_mean(name, self._things)}",
            context=f"Known: {listing(self, most=30)}.",
        )

    def __contains__(self, name: object) -> bool:
        return name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))

    def __len__(self) -> int:
        return len(self._things)
