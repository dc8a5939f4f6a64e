"""Keys from templates, as the contract writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from .errors import KeyInvalid

Part: TypeAlias = "str | int"
# One placeholder's value, all of them by name, or nothing for a template without any.
Parts: TypeAlias = "Part | Mapping[str, Part] | None"

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SPECIAL = re.compile(r"([*?\[\]^\\-])")
MAX_KEY_BYTES = 1024


class Template:
    """``agents:all`` or ``knowledge:{agent}:{id}``. A placeholder is one non-empty part without ``:``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.placeholders: list[str] = _PLACEHOLDER.findall(text)
        self._format = _PLACEHOLDER.sub("%s", text.replace("%", "%%"))
        # The literal parts, `None` for placeholders.
        self._literals = [None if _PLACEHOLDER.fullmatch(part) else part for part in text.split(":")]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Template) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def key(self, parts: Parts = None) -> str:
        """The key for these parts; ``KeyInvalid`` where they do not fit."""
        key = self._format % tuple(self._checked(name, part) for name, part in self._named(parts))
        if len(key.encode()) > MAX_KEY_BYTES:
            raise KeyInvalid(f"{self.text}: a key has at most {MAX_KEY_BYTES} bytes")
        return key

    def pattern(self, parts: Parts = None) -> str:
        """A glob for ``SCAN``. Parts may hold ``*`` and ``?``; those left out are ``*``."""
        given = dict(self._named(parts, partial=True))
        globs = (self._checked(name, given.get(name, "*")) for name in self.placeholders)
        pieces = (next(globs) if literal is None else _SPECIAL.sub(r"\\\1", literal) for literal in self._literals)
        return ":".join(pieces)

    def matches(self, key: str) -> bool:
        """Whether a key is one of this template's."""
        parts = key.split(":")
        return len(parts) == len(self._literals) and all(
            part == literal if literal is not None else part != ""
            for part, literal in zip(parts, self._literals, strict=True)
        )

    def parts(self, key: str) -> Parts:
        """The parts of a key of this template, as text: the one, those of several by name, or ``None``."""
        parts = [part for part, literal in zip(key.split(":"), self._literals, strict=True) if literal is None]
        return parts[0] if len(parts) == 1 else dict(zip(self.placeholders, parts, strict=True)) or None

    def _named(self, parts: Parts, partial: bool = False) -> list[tuple[str, Part]]:
        names = self.placeholders
        if parts is None:
            given: Mapping[str, Part] = {}
        elif isinstance(parts, Mapping):
            given = parts
        elif len(names) == 1:
            given = {names[0]: parts}
        else:
            raise KeyInvalid(f"{self.text}: parts have to be named")
        unknown = set(given) - set(names)
        missing = set() if partial else set(names) - set(given)
        if unknown or missing:
            raise KeyInvalid(f"{self.text}: takes {', '.join(names) or 'no parts'}")
        return [(name, given[name]) for name in names if name in given]

    def _checked(self, name: str, part: Part) -> str:
        # True is an int, and nobody means the key agent:True.
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            raise KeyInvalid(f"{self.text}: {name} is neither text nor a whole number")
        text = str(part)
        if not text or ":" in text:
            raise KeyInvalid(f"{self.text}: {name} is empty or holds a colon")
        return text
