"""The script of each letter by its ISO 15924 code: Unicode's property Script, as one byte a code point.

The ranges are those of Scripts.txt (Unicode 18.0, Unicode License v3), drawn together over what is no letter, so they
mean something for letters (category L) and numbers written as letters (Nl) alone. Letters of many scripts (U+00B5,
U+30FC, mathematical alphabets) are in none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UNKNOWN = "Zyyy"
"""What ISO 15924 calls an undetermined script."""
_RANGES = """
Adlm 1e900-1e94b Aghb 10530-10563 Ahom 11700-11746 Arab 620-63f 641-6ff 750-77f 870-8c9 fb50-fefc 10ec2-10eff
1ee00-1eebb Armi 10840-10855 Armn 531-58c fb13-fb17 Avst 10b00-10b35 Bali 1b05-1b7f Bamu a6a0-a6ef 16800-16a38 Bass
16ad0-16aed Batk 1bc0-1be5 Beng 980-9fc 11df0-11df1 Berf 16ea0-16ed3 Bhks 11c00-11c40 Bopo 3105-312f 31a0-31bf Brah
11003-11075 Bugi 1a00-1a16 Buhd 1740-1751 Cakm 11103-11147 Cans 1401-167f 18b0-18f5 11ab0-11abf Cari 102a0-102d0 Cham
aa00-aa4b Cher 13a0-13fd ab70-abbf Chrs 10fb0-10fc4 Copt 3e2-3ef 2c80-2cf3 Cpmn 12f90-12ff0 Cprt 10800-1083f Cyrl
400-52f 1c80-1c8a 1d2b 1d78 a640-a69d 1e030-1e08f Deva 904-97f a8f2-a8fe 11b00-11b0a Diak 11900-11941 Dogr 11800-1182b
Dsrt 10400-1044f Dupl 1bc00-1bc99 Egyp 13000-143fa Elba 10500-10527 Elym 10fe0-10ff6 Ethi 1200-138f 2d80-2dde ab01-ab2e
1e7e0-1e7fe Gara 10d40-10d8f Geor 10a0-10ff 1c90-1cbf 2d00-2d2d Glag 2c00-2c5f Gong 11d60-11d98 Gonm 11d00-11d46 Goth
10330-1034a Gran 11305-11361 Grek 370-373 376-3e1 3f0-3ff 1d26-1d2a 1d5d-1d61 1d66-1d6a 1dbf 1f00-1ffc 2126 ab65
10140-10174 1dff3-1dff4 Gujr a85-af9 Gukh 16100-16139 Guru a05-a74 Hang 1100-11ff 3131-318e a960-a97c ac00-d7fb
ffa0-ffdc Hani 3005 3007-3029 3038-303b 3400-9fff f900-fad9 16fe3-16ff6 20000-33479 Hano 1720-1731 Hatr 108e0-108f5 Hebr
5c8-5f2 fb1d-fb4f Hira 3041-309f 1b001-1b11f 1b123 1b132-1b152 Hluw 14400-14646 Hmng 16b00-16b8f Hmnp 1e100-1e14e Hung
10c80-10cf2 Ital 10300-1032f Java a984-a9b2 Jurc 18e00-191d2 Kali a90a-a925 Kana 30a1-30fa 30fd-30ff 31f0-31ff ff66-ff6f
ff71-ff9d 1aff0-1b000 1b120-1b122 1b124-1b128 1b155-1b168 Kawi 11f00-11f5a Khar 10a00-10a35 Khmr 1780-17dc Khoj
11200-11241 Kits 18b00-18cff Knda c80-cf3 Krai 16d40-16d79 Kthi 11083-110af Lana 1a20-1aa7 Laoo e81-edf Latn 41-aa
ba-2b8 2e0-2e4 1d00-1d25 1d2c-1d5c 1d62-1d65 1d6b-1d77 1d79-1dbe 1e00-1eff 2071-207f 2090-209f 212a-212b 2132 214e-2188
2c60-2c7f a722-a787 a78b-a7ff ab30-ab64 ab66-ab6d fb00-fb06 ff21-ff5a 10780-107bf 1df00-1dff2 1dff5-1dfff Lepc 1c00-1c4f
Limb 1900-191e Lina 10600-10767 Linb 10000-100fa Lisu a4d0-a4fd 11fb0 Lyci 10280-1029c Lydi 10920-10939 Mahj 11150-11176
Maka 11ee0-11ef2 Mand 840-858 Mani 10ac0-10ae4 Marc 11c72-11c8f Medf 16e40-16e7f Mend 1e800-1e8c4 Merc 109a0-109bf Mero
10980-1099f Mlym d04-d7f Modi 11600-11644 Mong 1820-18aa Mroo 16a40-16a5e Mtei aae0-aaf4 abc0-abe2 Mult 11280-112a8 Mymr
1000-108e a9e0-a9fe aa60-aa7f 116d0-116e3 Nagm 1e4d0-1e4f9 Nand 119a0-119e3 Narb 10a80-10a9c Nbat 10880-1089e Newa
11400-11461 Nkoo 7ca-7fa Nshu 16fe1 1b170-1b2fb Ogam 1681-169a Olck 1c5a-1c7d Onao 1e5d0-1e5ff Orkh 10c00-10c48 Orya
b05-b71 Osge 104b0-104fb Osma 10480-1049d Ougr 10f70-10f81 Palm 10860-10876 Pauc 11ac0-11af8 Pcun 125a8-1264b Perm
10350-10375 Phag a840-a873 Phli 10b60-10b72 Phlp 10b80-10b91 Phnx 10900-10915 Plrd 16f00-16f9f Prti 10b40-10b55 Rjng
a930-a946 Rohg 10d00-10d23 Runr 16a0-16f8 Samr 800-828 Sarb 10a60-10a7c Saur a882-a8b3 Seal 3d000-3fc3f Shaw 10450-1047f
Shrd 11183-111dc 11b60-11b67 Sidd 11580-115db Sidt 10940-10959 Sind 112b0-112de Sinh d85-dc6 Sogd 10f30-10f45 Sogo
10f00-10f27 Sora 110d0-110e8 Soyo 11a50-11a9d Sund 1b83-1bbf Sunu 11bc0-11bf9 Sylo a800-a822 Syrc 710-74f 860-86a Tagb
1760-1770 Takr 11680-116b8 Tale 1950-1974 Talu 1980-19c9 Taml b83-bd0 Tang 16fe0 17000-18aff 18d00-18df2 Tavt aa80-aadd
Tayo 1e6c0-1e6ff Telu c05-c61 Tfng 2d30-2d6f Tglg 1700-171f Thaa 780-7b1 Thai e01-e46 Tibt f00-f8c Tirh 11480-114c7 Tnsa
16a70-16abe Todr 105c0-105f3 Tols 11db0-11de9 Toto 1e290-1e2ad Tutg 11380-113e2 Ugar 10380-1039d Vaii a500-a62b Vith
10570-105bc Wara 118a0-118ff Wcho 1e2c0-1e2eb Xpeo 103a0-103d5 Xsux 12000-125a7 1264c-12686 Yezi 10e80-10eb1 Yiii
a000-a48c Zanb 11a00-11a3a
"""


def ranges(text: str) -> list[range]:
    """Ranges of code points written in hexadecimal as ``first-last`` or ``only``."""
    pairs = [part.split("-") for part in text.split()]
    return [range(int(pair[0], 16), int(pair[-1], 16) + 1) for pair in pairs]


def _table() -> tuple[tuple[str, ...], npt.NDArray[np.uint8]]:
    """The codes, UNKNOWN first, and uint8[0x110000]: which of them each code point has."""
    codes, table = [UNKNOWN], np.zeros(0x110000, np.uint8)
    for part in _RANGES.split():
        if part[0].isupper():
            codes.append(part)
        else:
            for points in ranges(part):
                table[points.start : points.stop] = len(codes) - 1
    return tuple(codes), table


CODES, TABLE = _table()
LATIN = CODES.index("Latn")
ADDRESS = TABLE.ctypes.data
"""Address of the table, an argument of kernels as characters.CLASSES is."""


def points_of(*codes: str) -> npt.NDArray[np.bool_]:
    """bool[0x110000]: whether a code point, if it is a letter, is of one of these scripts."""
    return np.isin(TABLE, [CODES.index(code) for code in codes])
