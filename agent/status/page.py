"""Renders the page, whole or by section, from a masked snapshot."""

from __future__ import annotations

import hashlib
from datetime import tzinfo
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.status.snapshot import Snapshot
from agent.status.view import Sentences, Wording

HERE: Final = Path(__file__).resolve().parent
SECTIONS: Final = ("headline", "problems", "lines", "calls", "money", "cdrs", "accounts", "service", "system")
"""Parts of the page that change by themselves; each is a template `SECTION.html` and an element of that id."""

LANGUAGES: Final = ("nb", "en")
SHOWN_CDRS: Final = 20


class Page:
    """The page's templates, compiled once. `silence_s`: after this long without news it calls itself old."""

    def __init__(self, texts: Sentences, zone: tzinfo, *, silence_s: float = 45.0) -> None:
        self._texts, self._zone, self._silence_s = texts, zone, silence_s
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def whole(self, snapshot: Snapshot, lang: str) -> str:
        """The complete document. `snapshot` is masked."""
        return self._environment.get_template("page.html").render(
            fragments=self.fragments(snapshot, lang),
            w=Wording(self._texts, lang, self._zone, snapshot.at),
            s=snapshot,
            silence_ms=round(self._silence_s * 1000),
        )

    def fragments(self, snapshot: Snapshot, lang: str) -> dict[str, str]:
        """HTML of every section, by section id. `snapshot` is masked."""
        values = {
            "s": snapshot,
            "w": Wording(self._texts, lang, self._zone, snapshot.at),
            "accounts": {account.account: account for account in snapshot.accounts},
            "cdrs": snapshot.cdrs[:SHOWN_CDRS],
        }
        return {name: self._environment.get_template(f"{name}.html").render(values).strip() for name in SECTIONS}

    def say(self, key: str, lang: str) -> str:
        """A sentence of the page, for answers that are not the page."""
        return self._texts.say(f"page.{key}", lang)


class StaticFile:
    """A shipped file, whole in memory: nothing of the file system can be reached by a crafted path."""

    def __init__(self, name: str, content_type: str) -> None:
        self.body = (HERE / "static" / name).read_bytes()
        self.content_type = content_type
        self.etag = hashlib.sha256(self.body).hexdigest()[:16]


def static_files() -> dict[str, StaticFile]:
    """The page's own style, script and icon, by name."""
    types = {"page.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
    return {name: StaticFile(name, content_type) for name, content_type in types.items()}
