"""What an HTML page says: its main text, title, language, licence, canonical address and date, from its bytes.

The work of a process of its own (``parsing``), which is why it imports nothing of the library: resiliparse takes
quadratic time on some hostile pages (100,000 unclosed ``<article>``: minutes), in native code that nothing but a kill
can end.

Main text: resiliparse's heuristics without comments; then elements whose class says that they stand beside it
(captions, author boxes, newsletters, footers) and forms, as long as half of the text stays; then lines: what comes
before the first sentence goes where it is little, what comes after the headline of a comment or related-articles
section goes, and short lines that are advertisements or buttons. Posts that an article embeds are kept. Won, on 181
news and blog pages (scrapinghub's article-extraction-benchmark): F1 of 4-grams .963 (precision .941, recall .986),
where resiliparse alone has .916 and lines without elements .944; the words of classes were chosen by 102 of them, on
the other 79 it is .967 instead of .953. On 236 pages of trafilatura's own tests, by which they were chosen too, 110
of 713 unwanted strings are left, where resiliparse alone leaves 198, and 666 of 709 wanted ones are there instead of
673. Lost: the words of classes, headlines and buttons are English (as those of classes mostly are everywhere);
captions, which some call content; the comments of a page that is a discussion. Lists that a page consists of (link
directories, tables of contents) are mostly taken for navigation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urljoin, urlsplit

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding, map_encoding_to_html5
from resiliparse.parse.html import ElementNode, HTMLTree

MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
META_CHARSET = re.compile(
    rb"""<(?:meta\b[^>]*?\bcharset|\?xml\b[^>]*?\bencoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
PRESCAN_BYTES = 1024  # HTML standard, 13.2.3.2: where a page may declare its charset

BESIDE = """author byline caption comment consent cookie copyright cta- -cta disclaimer footer newsletter promo related
signup"""
"""In the class of an element that stands beside the main text (cta: call to action)."""
SKIPPED = ":is(form, " + ", ".join(f'[class*="{word}" i]' for word in BESIDE.split()) + "):not(span, :has(h1))"
MAX_QUOTES = 100
QUOTES = 'blockquote[class], [class*="social" i]:has(> blockquote)'

SECTION = re.compile(
    r"(?:\d+ |all |top rated |view |show |load |facebook )*(?:comments?|discussion)"
    r"(?: \(?\d+\)?| closed| are closed| on this .*)?"
    r"|\d+ (?:responses?|replies|thoughts)\b.*|(?:leave|post|add|write) (?:a |your )?(?:reply|comment|response)\b.*",
    re.IGNORECASE,
)
RELATED = re.compile(
    r"(?:related|recommended|similar|popular|trending|latest|more|most (?:read|popular|viewed))"
    r"(?: (?:articles?|posts?|stories|news|content|topics?|links|reading|videos?|coverage|products)"
    r"| (?:from|in|on|by|like) .*)?"
    r"|you (?:may|might|will) (?:also )?(?:like|enjoy)|about the authors?|up next|read next|(?:from|around) the web",
    re.IGNORECASE,
)
NOISE = re.compile(
    r"(?:(?:share|tweet|print|e-?mail|facebook|twitter|whatsapp|pinterest|linkedin|close|loading|image|photo|by)\W*)+"
    r"|(?:advertisement|(?:story|article) continues|continue reading|read more|share (?:this|on|via)|subscribe|sign up"
    r"|follow us|newsletter|permalink|copyright|getty images"
    r"|(?:photo|image|tags?|filed under|updated|published|posted)(?: by| on| in|:)).{0,60}"
    r"|by [^.!?]{2,50}|.*all rights reserved.*",
    re.IGNORECASE,
)
EDGES = " \t•-\u2013\u2014|:()[]…"
SHORT = 100  # code points; a longer line is no headline and no button
SENTENCE = re.compile(r"""[.!?:;…\u3002\uff01\uff1f]["\u201d\u2019')\]»]*$|["\u201d\u2019»]$""")

TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")
CREATIVE_COMMONS = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/(licenses|publicdomain)/([a-z+-]+)/([\d.]+)(?:/([a-z]{2,3}))?(?:[/?#].*)?",
    re.IGNORECASE,
)
DATE_PUBLISHED = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')
DATES = (
    'script[type="application/ld+json"]',
    'meta[property="article:published_time" i], [itemprop="datePublished" i]',
    "time[pubdate]",
    ", ".join(
        f'meta[name="{name}" i]'
        for name in ("dcterms.issued", "dc.date.issued", "dc.date", "pubdate", "publish-date", "date")
    ),
)
"""Where a page states when it was published; the first of these that is a date wins."""
SIGNALS = ("robots", "tdm-reservation", "tdm-policy")
MAX_DIRECTIVES = 1000
BLANK = re.compile(r"[\s\x00-\x1f]")
FIRST_YEAR = 1990  # of the web; an earlier date is a template's default


def page(
    raw: bytes, charset: str | None = None, *, address: str = "", whole: bool = False
) -> dict[str, str | bool | None]:
    """text, title, language, licence, canonical, identity (a canonical address that can stand for the page), published
    (ISO 8601, UTC), robots, tdm_reservation and tdm_policy of a page; null for what it does not say.

    charset: as the transport states it; address: of the page, for relative links; whole: all visible text instead of
    the main text. Raises what resiliparse raises.
    """
    tree = HTMLTree.parse(decoded(raw, charset))
    text = extract_plain_text(tree, alt_texts=False) if whole else trimmed(main_text(tree))
    return {"text": text, "title": _line(tree.title), "language": _language(tree), **_said(tree, address)}


def decoded(raw: bytes, charset: str | None) -> str:
    """The page's text. Charset: a byte order mark, else UTF-8 if it is that, else as the transport, else as the page
    states it, else as uchardet guesses it; bytes that do not fit are replaced.
    """
    mark = next((name for mark, name in MARKS if raw.startswith(mark)), None)
    if mark is None and b"\x1b" not in raw:  # ISO 2022 is made of ASCII bytes, and so is always UTF-8 too
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    inside = META_CHARSET.search(raw, 0, PRESCAN_BYTES)
    names = [mark, charset, inside[1].decode("ascii", "replace") if inside else None]
    known = (_known(name) for name in names if name)
    return bytes_to_str(raw, next((name for name in known if name), None) or detect_encoding(raw) or "utf-8", "replace")


def _known(name: str) -> str | None:
    """Python's name of a WHATWG label; UTF-16 that a page itself states in ASCII is none (HTML standard, 13.2.3.2)."""
    if name in ("utf-16-le", "utf-16-be"):
        return name
    found = map_encoding_to_html5(name.strip().lower(), fallback_utf8=False)
    return None if found is None or found.startswith("utf-16") else str(found)


def main_text(tree: HTMLTree) -> str:
    """The main text by the elements of a page; takes the classes of its quotations away.

    What SKIPPED and resiliparse's own words find goes where at least half of the text stays: on one page in a hundred
    such a word names the element that holds the article. Comments go where anything else is there.
    """
    if tree.document is None:
        return ""
    for _ in range(MAX_QUOTES):  # one at a time: to go through a list of found elements takes square time
        quote = tree.document.query_selector(QUOTES)
        if quote is None:
            break
        quote.remove_attribute("class")  # by which an embedded post, quoted in an article, would be a share button
    extract = partial(extract_plain_text, tree, main_content=True, alt_texts=False)
    text = extract(comments=False) or extract()
    less = extract(comments=False, post_meta=False, skip_elements=[SKIPPED])
    return less if len(less) * 2 >= len(text) else text


def trimmed(text: str) -> str:
    """The main text without what the heuristics leave around it."""
    lines = text.split("\n")
    first = next((at for at, line in enumerate(lines) if _is_sentence(line)), 0)
    if sum(map(len, lines[:first])) * 3 > len(text):
        first = 0
    return "\n".join(_kept(lines[first:], len(text))).strip()


def _kept(lines: list[str], size: int) -> Iterator[str]:
    seen = 0
    for line in lines:
        bare = line.strip(EDGES)
        if len(bare) < SHORT:
            if (seen >= 200 and SECTION.fullmatch(bare)) or (seen * 2 >= size and RELATED.fullmatch(bare)):
                return
            if NOISE.fullmatch(bare) or RELATED.fullmatch(bare):
                continue
        seen += len(line)
        yield line


def _is_sentence(line: str) -> bool:
    bare = line.strip()
    return len(bare) >= 100 or (len(bare) >= 30 and SENTENCE.search(bare) is not None)


def _line(text: str | None) -> str | None:
    """The text on one line, at most 300 code points; null for none."""
    return " ".join((text or "").split())[:300] or None


def _language(tree: HTMLTree) -> str | None:
    root = tree.document.document_element if tree.document else None
    return tag(root.getattr("lang") or root.getattr("xml:lang")) if root else None


def tag(stated: str | None) -> str | None:
    """A language tag as stated, where it has the form of one (BCP 47): the first of several."""
    first = (stated or "").split(",")[0].strip()
    return first if len(first) <= 35 and TAG.fullmatch(first) else None


def _said(tree: HTMLTree, address: str) -> dict[str, str | bool | None]:
    """What the elements that ``page`` names say. Selectors that find little: to go through a thousand elements takes a
    second.
    """
    if tree.document is None:
        return dict.fromkeys(
            ("licence", "canonical", "identity", "published", "robots", "tdm_reservation", "tdm_policy")
        )
    find = tree.document.query_selector_all
    licences = {_absolute(address, node.getattr("href")) for node in find('[rel~="license" i]')}
    canonicals = {_absolute(address, node.getattr("href")) for node in find('link[rel~="canonical" i]')}
    stated = (_stated(node) for selector in DATES for node in find(selector))
    canonical = canonicals.pop() if len(canonicals) == 1 else ""
    signals: dict[str, list[str]] = {name: [] for name in SIGNALS}
    for node in find(", ".join(f'meta[name="{name}" i]' for name in SIGNALS)):
        signals[(node.getattr("name") or "").strip().lower()].append(node.getattr("content") or "")
    return {
        "licence": licence(licences.pop()) if len(licences) == 1 else None,
        "canonical": canonical if _is_web(canonical) else None,
        "identity": _page_address(canonical),
        "published": next((found for text in stated if text and (found := moment(text))), None),
        "robots": directives(*signals["robots"]),
        "tdm_reservation": reservation(*signals["tdm-reservation"]),
        "tdm_policy": next((found for text in signals["tdm-policy"] if (found := policy(address, text))), None),
    }


def directives(*stated: str | None) -> str | None:
    """What robots are told, such as ``noindex, noai``: in lower case, each once, in order; null for nothing."""
    words = (" ".join(word.lower().split()) for text in stated if text for word in text[:MAX_DIRECTIVES].split(","))
    return ", ".join(dict.fromkeys(word for word in words if word)) or None


def reservation(*stated: str | None) -> bool | None:
    """Whether the rights to text and data mining are reserved (TDMRep, W3C Community Group 2024): true where anything
    says 1, false where it says 0 only.
    """
    said = {text.strip() for text in stated if text}
    return True if "1" in said else False if "0" in said else None


def policy(address: str, stated: str | None) -> str | None:
    """The address of a policy of text and data mining; null for none."""
    found = _absolute(address, stated) if stated else ""
    return found if _is_web(found) else None


def _is_web(address: str) -> bool:
    return address.startswith(("http://", "https://")) and len(address) <= 2000 and not BLANK.search(address)


def _stated(node: ElementNode) -> str | None:
    """The date that an element states, as text."""
    if node.tag == "script":
        found = DATE_PUBLISHED.search(node.text or "")
        return found[1] if found else None
    return node.getattr("content") or node.getattr("datetime") or (node.text or "")[:40]


def _absolute(address: str, link: str | None) -> str:
    try:
        return urljoin(address, (link or "").strip())
    except ValueError:
        return ""


def licence(address: str) -> str | None:
    """SPDX identifier of a Creative Commons address; any other web address as it is."""
    found = CREATIVE_COMMONS.fullmatch(address)
    if found:
        kind, name, version, port = found.groups()
        if kind.lower() == "publicdomain":
            return f"CC0-{version}" if name.lower() == "zero" else address
        return f"CC-{name.upper()}-{version}" + (f"-{port.upper()}" if port else "")
    return address if address.startswith(("http://", "https://")) and len(address) <= 2000 else None


def _page_address(address: str) -> str | None:
    """A canonical address that can stand for the page: http or https, a full host name, and not a site's front page."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return None
    whole = parts.scheme in ("http", "https") and "." in host and (parts.path not in ("", "/") or parts.query)
    clean = len(address) <= 2000 and not BLANK.search(address)
    return address.partition("#")[0] if whole and clean else None


def moment(text: str) -> str | None:
    """A date or time, ISO 8601 or as in mail, as ISO 8601 in UTC (UTC where it names no zone); null for none and
    before 1990.
    """
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = parse(text.strip()[:100])
            utc = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return utc.isoformat() if utc.year >= FIRST_YEAR else None
    return None
