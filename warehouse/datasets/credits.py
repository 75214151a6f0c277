"""Who made a data set, and how it is to be cited: what a recipe states under ``credits``, for its cards alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from warehouse.recipes import Check, Keys, Stated, checked, mapping, string


@dataclass(frozen=True, slots=True)
class Credits:
    """What no table says of a data set. citation: best BibTeX; url: its page; published: of the release, ISO 8601."""

    creator: str = ""
    citation: str = ""
    url: str = ""
    published: str = ""

    def as_schema_org(self) -> dict[str, Any]:
        """In the terms of schema.org and Croissant; empty where nothing was stated."""
        creator = {"@type": "Organization", "name": self.creator} if self.creator else None
        return {"creator": creator, "citeAs": self.citation, "url": self.url, "datePublished": self.published}

    def stated(self) -> dict[str, str]:
        """What the recipe gives."""
        values = {"creator": self.creator, "citation": self.citation, "url": self.url, "published": self.published}
        return {key: value for key, value in values.items() if value}


NONE = Credits()


def credits_of(stated: Stated, key: Keys) -> Credits:
    """The mapping under ``credits``."""
    mapping(stated, key, "{creator: NAME, citation: TEXT, url: ADDRESS, published: 2026-01-31}")
    return Credits(**checked(stated, key, KEYS))


def _url(stated: Stated, key: Keys) -> str:
    value = string(stated, key)
    if not value.startswith(("http://", "https://")):
        stated.refuse(key, f"url is {value!r}", "an address that begins with https:// or http://")
    return value


def _day(stated: Stated, key: Keys) -> str:
    value = str(stated.get(key))
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        stated.refuse(key, f"published is {value!r}", "a day, such as 2026-01-31")


KEYS: Mapping[str, Check] = {"creator": string, "citation": string, "url": _url, "published": _day}
