"""Personal data by regular expressions and the checks of other libraries: what warehouse.curation.pii must equal.

Slow and plain: one expression over bytes and one check a kind. ipaddress, phonenumbers and whole-number mod 97 do what
the kernel does by hand.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

import phonenumbers

from warehouse.kernels.registries import DOMAINS, IBAN_LENGTHS

Span = tuple[str, int, int, str]
"""kind, first byte, byte after, mask."""
Found = tuple[int, int, Span | None]
"""Where what was recognised starts and ends, and its span if it is reported."""

LABEL = rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
NAME = re.compile(rb"(?:%b\.)+([A-Za-z]{2,12})" % LABEL)
EXAMPLES = re.compile(rb"(?:.*\.)?example\.(?:com|net|org)", re.IGNORECASE)
SPECIAL = """
0.0.0.0/8 127.0.0.0/8 192.0.0.0/24 192.0.2.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
2001:db8::/32 3fff::/20
"""
PRIVATE = "10.0.0.0/8 100.64.0.0/10 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 fc00::/7 fe80::/10"
ADDRESSED = re.compile(
    rb"(?i)(?<![a-z])(?:addr|address|addresses|dns|gateway|ips?|ipv|nameserver|netmask|ping|resolver)(?![a-z])"
)
IPV6 = re.compile(rb"(?<![\w:.])[0-9][0-9A-Fa-f]{3}:[0-9A-Fa-f:]*")
OWN = re.compile(rb"(?<![\w:.])(?:[fF][cCdD]|[fF][eE][89abAB])[0-9A-Fa-f]{1,2}:[0-9A-Fa-f:]*")
IPV4 = re.compile(rb"(?<![\w.])(?<!\w-)(?<![=<>~!]=)\d{1,3}(?:\.\d{1,3}){3}(?!\w)(?!\.\w)(?![-+][A-Za-z])")
SOLID = rb"(?<![\w.])(?<!\d-)\d{13,19}"
DASHED = rb"(?<![\w.])(?<!\d-)\d{4}-(?:\d{4}-\d{4}-\d{4}|\d{6}-\d{4,5})"
SPACED = rb"(?<![\w.])(?<!\d )\d{4} (?:\d{4} \d{4} \d{4}|\d{6} \d{4,5})(?! \d{4}(?!\d))"
CARD = re.compile(rb"(?:%b|%b|%b)(?!\w)(?![.-]\d)" % (SOLID, DASHED, SPACED))
ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|(?:2131|1800)\d{11}"
    r"|(?:30[0-5]|3[689]\d)\d{11}|(?:6011|64[4-9]\d|65\d\d|62\d\d|352[89]|35[3-8]\d)\d{12,15}"
)
SSN = re.compile(rb"(?<![\w.])(?<!\d-)(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?!\w)(?![.-]\d)")
KEY = rb"""(?=(?:(?!-----END)[\w+/=\s:,\-"'\\])*[A-Za-z0-9+/=]{16})(?:(?!_)[\w+/=\s:,\-"'\\])"""
SECRET = re.compile(
    rb"(?<![\w-])(?:(?:AKIA|ASIA)(?:[A-Z2-7]{16}|0{16})(?![\w-])|gh[pousr]_[A-Za-z0-9]{36,251}(?![\w-])"
    rb"|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}(?![\w-])|eyJ[\w-]{7,}\.eyJ[\w-]*\.[\w-]+"
    rb"|-----BEGIN [A-Z0-9 ]{0,42}PRIVATE KEY-----(?P<body>%b{0,16384}?)(?=-----END))" % KEY
)
NAMES = re.compile(rb"\A(?:AKIA|ASIA|gh[pousr]_|github_pat_|eyJ)|(?<=\.)eyJ")
SPOKEN = re.compile(
    rb"(?i)(?<![a-z])(?:call|called|calling|cell|cellphone|contact|desk|dial|fax|hotline|landline|mobile|phones?|reach|ring|sms|tel"
    rb"|telephones?|whatsapp)(?![a-z])"
)
GROUP = re.compile(rb"[ ./-]?(?:\((\d+)\)|(\d+)(?!\w))")
NATIONAL = re.compile(
    rb"(?<!\w)(?<!\d[./-])(?:(?:1|001)[ ./-])?"
    rb"(?:\([2-9]\d\d\)[ ./-]?[2-9]\d\d[ ./-]|(?P<spaced>[2-9]\d\d [2-9]\d\d )(?=\d{4}(?! \d))"
    rb"|[2-9]\d\d(?:\.[2-9]\d\d\.|-[2-9]\d\d-|/[2-9]\d\d/| [2-9]\d\d[./-]))"
    rb"(?P<last>\d{4})(?:x\d{1,7})?(?!\w)(?![./-]\d)"
)


def spans(text: str) -> list[Span]:
    """Every span of a text, in order."""
    raw = bytearray(text.encode())
    found: list[Span | None] = []
    hidden = set[int]()
    for start, stop, span in secrets(bytes(raw)):
        raw[start:stop] = b"!" * (stop - start)
        found.append(span)
    for start, stop, span in addresses(bytes(raw)):
        hide(raw, hidden, start, stop, b"x")
        found.append(span)
    return sorted((span for span in [*found, *numbers(raw, hidden)] if span), key=lambda span: span[1])


def hide(raw: bytearray, hidden: set[int], start: int, stop: int, filler: bytes) -> None:
    """Letters or digits in the place of an address; they count for nothing between a word and a number."""
    raw[start:stop] = filler * (stop - start)
    hidden.update(range(start, stop))


def masked(text: str) -> str:
    """The text with each span replaced by its mask."""
    raw = text.encode()
    for _, start, stop, mask in reversed(spans(text)):
        raw = raw[:start] + mask.encode() + raw[stop:]
    return raw.decode()


def secrets(text: bytes) -> Iterator[Found]:
    for match in SECRET.finditer(text):
        start, stop = match.span("body") if match["body"] is not None else match.span()
        zeros = re.sub(rb"[A-Za-z0-9]", b"0", text[start:stop])
        for name in NAMES.finditer(text[start:stop]) if match["body"] is None else ():
            zeros = zeros[: name.start()] + name[0] + zeros[name.end() :]
        yield start, stop, ("secret", start, stop, zeros.decode()) if zeros != text[start:stop] else None


def addresses(text: bytes) -> Iterator[Found]:
    floor = 0
    for sign in re.finditer(b"@", text):
        at = sign.start()
        if at < floor:
            continue
        before = re.search(rb"[A-Za-z0-9._%+-]*\Z", text[floor:at])[0]
        before = before[before.rfind(b"..") + 1 :]
        local = re.sub(rb"\A\W+", b"", before)
        name = re.match(rb"[A-Za-z0-9.-]*", text[at + 1 :])[0]
        domain = NAME.fullmatch(name.rstrip(b".-"))
        if not local or local.endswith(b".") or len(before) > 64 or len(name) > 253 or not domain:
            continue
        if domain[1].decode().lower() in DOMAINS:
            start, floor = at - len(local), at + 1 + len(domain[0])
            reserved = EXAMPLES.fullmatch(domain[0])
            yield start, floor, None if reserved else ("email", start, floor, "user@example.org")


def numbers(raw: bytearray, hidden: set[int]) -> Iterator[Span | None]:
    floor = 0
    for run in re.finditer(rb"\d+", bytes(raw)):
        if run.start() >= floor:
            for kind, found in recognised(bytes(raw), hidden, floor, run.start()):
                if found:
                    floor = found[1]
                    if kind == "ip" and not raw.startswith(b"0.", found[0]):
                        hide(raw, hidden, *found[:2], b"0")
                    yield found[2]
                    break


def recognised(text: bytes, hidden: set[int], floor: int, at: int) -> Iterator[tuple[str, Found | None]]:
    """What each kind makes of the run of digits at ``at``, in the order in which they are asked."""
    before = text[at - 1 : at] if at else b""
    if re.fullmatch(b"[A-Fa-f:]", before):
        yield "ip", ipv6(text, at - len(re.search(rb"[0-9A-Fa-f:]{0,39}\Z", text[floor:at])[0]), OWN)
    if re.fullmatch(b"[A-Z]", before):
        yield "iban", account(text, at - 2) if at > 1 else None
    elif not re.fullmatch(rb"\w", before):
        if before == b"+" and not re.match(rb"\w", text[at - 2 : at - 1] if at > 1 else b""):
            yield "phone", international(text, hidden, at)
        yield "ip", ipv6(text, at, IPV6)
        yield "ip", ipv4(text, hidden, at)
        yield "card", card(text, at)
        yield "ssn", security(text, at)
        if before == b"(":
            yield "phone", national(text, hidden, at - 1)
        yield "phone", national(text, hidden, at)
        if before == b"(":
            yield "phone", spoken(text, hidden, at - 1)
        yield "phone", spoken(text, hidden, at)


def ipv6(text: bytes, at: int, form: re.Pattern[bytes]) -> Found | None:
    match = form.match(text, at)
    name = match[0] if match else b""
    if name.endswith(b":") and not name.endswith(b"::"):
        name = name[:-1]
    stop = at + len(name)
    follows = re.match(rb"\w|\.\w", text[stop:])
    try:
        address = ipaddress.IPv6Address(name.decode())
    except ValueError:
        return None
    own = inside(address, PRIVATE)
    if follows or (b"::" in name and (len(re.findall(rb"[0-9A-Fa-f]+", name)) < 3 - own or name[:1] not in b"23fF")):
        return None
    span = None if inside(address, SPECIAL) else ("private_ip" if own else "ip", at, stop, "2001:db8::1")
    return at, stop, span


def ipv4(text: bytes, hidden: set[int], at: int) -> Found | None:
    match = IPV4.match(text, at)
    try:
        address = ipaddress.IPv4Address(match[0].decode()) if match else None
    except ValueError:
        return None
    if match is None or address is None:
        return None
    named = max(address.packed) >= 32 or after(ADDRESSED, text, hidden, at)
    kind = "private_ip" if inside(address, PRIVATE) else "ip"
    span = (kind, at, match.end(), "192.0.2.1") if named and not inside(address, SPECIAL) else None
    return at, match.end(), span


def inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address, names: str) -> bool:
    networks = map(ipaddress.ip_network, names.split())
    return any(address in network for network in networks if network.version == address.version)


def account(text: bytes, at: int) -> Found | None:
    length = IBAN_LENGTHS.get(text[at : at + 2].decode(errors="replace"), 0)
    if not length or re.match(rb"\w", text[at - 1 : at] if at else b""):
        return None
    fours, rest = divmod(length, 4)
    grouped = rb"[A-Z0-9]{4}" + rb"(?: [A-Z0-9]{4})" * (fours - 1) + (rb" [A-Z0-9]{%d}" % rest if rest else b"")
    match = re.compile(rb"(?:%b|[A-Z0-9]{%d})(?!\w)" % (grouped, length)).match(text, at)
    name = match[0].replace(b" ", b"").decode() if match else ""
    if not re.match(r"[A-Z]{2}\d\d", name):
        return None
    value = int("".join(str(int(letter, 36)) for letter in name[4:] + name[:4]))
    return (at, match.end(), ("iban", at, match.end(), zeroed(match[0]))) if value % 97 == 1 else None


def zeroed(text: bytes) -> str:
    return re.sub("[A-Z]", "X", re.sub(r"[0-9]", "0", text.decode()))


def card(text: bytes, at: int) -> Found | None:
    match = CARD.match(text, at)
    digits = re.sub(rb"\D", b"", match[0]).decode() if match else ""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    if match is None or not ISSUED.fullmatch(digits) or sum(value // 10 + value % 10 for value in doubled) % 10:
        return None
    return at, match.end(), ("card", at, match.end(), zeroed(match[0])[:-1] + "1")


def security(text: bytes, at: int) -> Found | None:
    match = SSN.match(text, at)
    return (at, match.end(), ("ssn", at, match.end(), zeroed(match[0]))) if match else None


def groups(text: bytes, at: int) -> tuple[str, list[int]]:
    """Digits of the groups from ``at`` on, at most 15, and where each group ends."""
    digits, ends = "", [at]
    while group := GROUP.match(text, ends[-1]):
        inside_parentheses, plain = group.groups()
        number = (inside_parentheses or plain).decode()
        if len(digits + number) > 15 or (inside_parentheses and (len(digits) > 3 or len(number) > 4)):
            break
        digits += number
        ends.append(group.end())
    return digits, ends


def said(text: bytes, hidden: set[int], start: int, stop: int) -> bool:
    """Whether a word before it makes a number one to call, and it is no mask."""
    digits = re.sub(rb"\D", b"", text[start:stop])
    return after(SPOKEN, text, hidden, start) and not digits.startswith(b"0000") and len(digits.replace(b"0", b"")) > 1


def after(words: re.Pattern[bytes], text: bytes, hidden: set[int], start: int) -> bool:
    """Whether one of the words ends at most 64 bytes before ``start``, on its line or just before it."""
    line = text.rfind(b"\n", 0, start) + 1
    if line and not re.search(rb"\w", text[line:start]):
        line = text.rfind(b"\n", 0, line - 1) + 1
    ends = [match.end() for match in words.finditer(text, line, start)]
    return any(len(set(range(end, start)) - hidden) < 64 for end in ends)


def spoken(text: bytes, hidden: set[int], at: int) -> Found | None:
    if re.search(rb"(?:[\w.,/$#=-]|\d )\Z", text[max(0, at - 2) : at]):
        return None
    digits, ends = groups(text, at)
    sizes = [len(group) for group in re.findall(rb"\d+", text[at : ends[-1]])]
    dated = len(sizes) == 3 and sizes[1] <= 2 and sorted([sizes[0], sizes[2]])[0] <= 2 and max(sizes) == 4
    if len(digits) < 7 or dated or not said(text, hidden, at, ends[-1]):
        return None
    return at, ends[-1], ("phone", at, ends[-1], zeroed(text[at : ends[-1]]))


def international(text: bytes, hidden: set[int], at: int) -> Found | None:
    digits, ends = groups(text, at)
    if len(digits) < 8:
        return (at, ends[-1], None) if digits else None
    whole = [ends[-1]] if said(text, hidden, at - 1, ends[-1]) else []
    fit = (end for end in reversed(ends[1:]) if assigned("+" + re.sub(rb"\D", b"", text[at:end]).decode()))
    for end in [*fit, *whole]:
        return at, ends[-1], ("phone", at - 1, end, zeroed(text[at - 1 : end]))
    return at, ends[-1], None


def national(text: bytes, hidden: set[int], at: int) -> Found | None:
    match = NATIONAL.match(text, at)
    if not match or (match["spaced"] and re.search(rb"\d \Z", text[:at])):
        return None
    digits = re.sub(rb"\D", b"", text[at : match.end("last")]).decode()[-10:]
    fits = assigned("+1" + digits) or said(text, hidden, at, match.end())
    return at, match.end(), ("phone", at, match.end(), zeroed(match[0])) if fits else None


def assigned(number: str) -> bool:
    try:
        return len(number) > 8 and phonenumbers.is_valid_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False
