"""What registries say of a text that looks like personal data: top-level domains, and how long a country's IBAN is.

Top-level domains are those of two letters that IANA has delegated and the generic ones that mail is seen from; a name
such as ``icon@2x.png`` or ``a@b.shape`` is no address. Lost: mail from generic domains that are not listed.
Lengths of IBANs are those of the SWIFT registry, release 97.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_COUNTRY_DOMAINS = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bv bw by bz ca cc cd cf
cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg
gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn kp
kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne
nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh si sj sk
sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc ve vg vi vn
vu wf ws ye yt za zm zw
"""
_GENERIC_DOMAINS = """
com org net edu gov mil int arpa info biz name pro aero asia cat coop jobs mobi museum post tel travel xxx app dev cloud
online site website store shop tech email support help blog live news media agency studio design digital solutions
services systems software technology consulting group company global international world network host hosting space
academy education institute university school science foundation community social team work works business ventures
capital finance financial bank money legal law health clinic care hospital energy bio earth green city house land
london berlin paris tokyo nyc wien hamburg koeln bayern swiss scot wales amsterdam cymru quebec club life today zone
center one xyz top link page wiki art photo photos photography video music games fun guru expert engineering
"""
_IBAN_LENGTHS = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18
FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20
LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24
SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""

DOMAINS = frozenset(f"{_COUNTRY_DOMAINS} {_GENERIC_DOMAINS}".split())
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBAN_LENGTHS.split()}


def packed(name: str) -> int:
    """Up to 12 letters as five bits each, a = 1, the last letter lowest."""
    value = 0
    for letter in name:
        value = value << 5 | ord(letter) - 0x60
    return value


def domain_codes() -> npt.NDArray[np.int64]:
    """int64[n]: the packed domains of at most 12 letters, ascending."""
    return np.array(sorted(packed(name) for name in DOMAINS if len(name) <= 12), np.int64)


def iban_lengths() -> npt.NDArray[np.uint8]:
    """uint8[26 * 26]: characters of an IBAN of each country code, 0 where there is none."""
    lengths = np.zeros(26 * 26, np.uint8)
    for country, length in IBAN_LENGTHS.items():
        lengths[(ord(country[0]) - 65) * 26 + ord(country[1]) - 65] = length
    return lengths
