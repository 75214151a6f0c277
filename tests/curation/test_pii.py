"""Personal data: spans equal a plain reference, masks are nobody's data, and no batching changes anything."""

from __future__ import annotations

import json
import sysconfig
import zipfile
from pathlib import Path

import phonenumbers
import pii_twin
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from warehouse import query
from warehouse.contracts import PII_KINDS
from warehouse.curation import PII, PII_VERSION, pii
from warehouse.curation.pii import KINDS
from warehouse.engine import run_threads
from warehouse.gate import load_suites, run_suite

PIECES = """
@ . .. - -- + ( ) x / : :: % _ , 1 2 7 01 001 212 555 0123 (212) +1 +49 +44 (0)20 7946 0958 30 2024-01-02 v == >= A XX b
user joe.doe foo@bar.com a+b@mail.co.uk @example.org user@example.org Foo@EXAMPLE.com icon@2x.png a@b.shape .com bar.de
8.8.8.8 85.12.3.4 10.0.0.1 192.0.2.1 1.2.3.4 255.1 .77 2606:4700:4700::1111 2001:db8::1 2a00:1450 :0:0:0:200e 12:34:56
fe80::1 FD12:3456: fcab:cd
4111 1111 4111111111111111 378282246310005 3782-822463-10005 5555-5555-5555-4444 30569309025904 3056 930902 5904
6011000990139424 180016070420458 0000 0000-0000-0000-0001 GB82 WEST 1234 5698 7654 32
GB82WEST12345698765432 DE89370400440532013000
NO9386011117947 XX00 978-0-306-40615-7 212-555-0123 (212)555-0123 212.555.0123x45 1-800-356-9377 +12125550123 1700000000
123-45-6789 900-12-3456 078-05-1120 eyJhbGciOiJI eyJ .eyJzdWIi _-x AKIA AKIAIOSFODNN7EXAMPLE ASIAQ2 phone call Fax reach
IP address Ping IPv4 172.20.1.2 192.168.1.77 169.254.3.99 100.65.2.4 100.64.1.2
ghp_ ghs_16C7e42F292c6912E7710c838347Ae178B4a -----BEGIN PRIVATE KEY----- -----END github_pat_ 07700 063 (37) 788-063
eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl -----BEGIN|-----BEGIN RSA PRIVATE KEY-----|MIIEowIBAAKCAQEA|\n
+44 (0)20 7946 0958|+1 (650) 253-0000|GB82 WEST 1234 5698 7654 32|4111 1111 1111 1111|650 253 0000|1 650 253 0000
"""
WORDS = [piece for line in PIECES.splitlines() for piece in (line.split("|") if "|" in line else line.split())]
TEXTS = st.one_of(
    st.lists(st.sampled_from([*WORDS, *[" "] * 40, "\n", "é", "电话"]), max_size=14).map("".join),
    st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join),
    st.text("0123 .-+()/x:@aA", max_size=40),
    st.builds("{}{}".format, st.sampled_from(["fe80:", "fd1", "FC", "2a01:"]), st.text("08fAdE::. ", max_size=40)),
    st.text(max_size=30),
)


def batch_of(texts: list[str | None], kind: pa.DataType | None = None) -> pa.RecordBatch:
    ids = pa.array([str(index) for index in range(len(texts))])
    return pa.RecordBatch.from_arrays([ids, pa.array(texts, kind or pa.large_string())], ["doc_id", "text"])


def spans(text: str) -> list[pii_twin.Span]:
    rows = pii(batch_of([text])).to_pylist()
    return [(row["kind"], row["start"], row["stop"], row["mask"]) for row in rows if row["start"] >= 0]


@given(TEXTS)
@settings(max_examples=600, deadline=None)
@example("a@" + "b" * 63 + ".com " + "c" * 64 + "@d.de " + "c" * 65 + "@d.de x@" + "b" * 64 + ".com")
@example("ISBN-212-555-0123, (212-555-0123) 2001:db8:1:::")
@example("4111 1111 1111 1111 12/27, 4111 1111 1111 1111 1111")
@example("+49 30 202-555-0123 +4111111111111111 +1 212 555 0123 (212) 555-0123")
def test_spans_and_masks_equal_those_of_regular_expressions_and_checks(text: str) -> None:
    assert spans(text) == pii_twin.spans(text)


@given(TEXTS)
@settings(max_examples=600, deadline=None)
@example("phone@@@@..a+b@mail.co.ukuser@example.org6011000990139424foo@bar.com@978-0-306-40615-7")
@example("Call, or write to the.third.of.four.clerks@very-long-name-of-a-company.de, order 978-030-6406")
@example("call 2a00:1450:4001:0830:0000:0000:0000:200e about what we discussed on Mon, 978-030-6406")
@example("phone 1700000000 1.2.3.4 978-0-306-40615-7")
def test_masked_text_holds_no_span(text: str) -> None:
    assert spans(pii_twin.masked(text)) == []


@given(st.lists(TEXTS, min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
@example(["AKIAIOSFODNN7EXAMPLE ghp_16C7e42F292c6912E7710c838347Ae178B4a", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"])
@example(["-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQ+/\n3aQ=\n-----END RSA PRIVATE KEY-----"])
def test_the_shipped_suite_passes_whatever_is_found(some: list[str]) -> None:
    assert not failed(pii(batch_of(some)))


@pytest.mark.parametrize("mask", ["AKIAIOSFODNN7EXAMPLE", "ghp_0000a000", "eyJ0000.eyJ00.sig", "\nMIIE\n", "eyJ.AKIA0"])
def test_a_secret_that_its_mask_leaves_fails_the_shipped_suite(mask: str) -> None:
    rows = pii(batch_of(["AKIAIOSFODNN7EXAMPLE"]))
    assert failed(rows.set_column(5, PII.field("mask"), pa.array([mask]))) == ["kind = 'secret'"]


def failed(rows: pa.RecordBatch) -> list[str]:
    """The checks of the shipped suite that these rows fail."""
    (suite,) = load_suites([Path(__file__).resolve().parents[2] / "expectations/repository.pii.json"])
    with query.connect() as con:
        query.attach_memory(con, "repository")
        con.register("given", pa.Table.from_batches([rows]))
        con.execute("CREATE TABLE repository.pii AS FROM given")
        return [check.kwargs["row_condition"] for check in run_suite(con, suite) if not check.success]


@given(TEXTS, st.sets(st.sampled_from(PII_KINDS)))
@settings(max_examples=200, deadline=None)
def test_masks_of_some_kinds_leave_the_spans_of_the_others(text: str, kinds: set[str]) -> None:
    raw, found = text.encode(), spans(text)
    for kind, start, stop, mask in reversed(found):
        if kind in kinds:
            raw = raw[:start] + mask.encode() + raw[stop:]
    again = spans(raw.decode())
    assert [span[0] for span in again] == [span[0] for span in found if span[0] not in kinds]


def texts_of(folder: Path, name: str, count: int) -> list[str]:
    with zipfile.ZipFile(folder / name) as archive:
        names = [item for item in archive.namelist() if not item.endswith("/")]
        return [archive.read(item).decode("utf-8", "replace") for item in names[:: len(names) // count]]


def test_spans_equal_the_reference_on_real_mail_and_sentences(shared_data: Path) -> None:
    records = json.loads((shared_data / "pii_presidio/synth_dataset_v2.json").read_text("utf-8"))
    texts = [record["full_text"] for record in records] + texts_of(shared_data, "mail_spamassassin.zip", 100)
    found = [spans(text) for text in texts]
    assert found == [pii_twin.spans(text) for text in texts]
    assert {span[0] for each in found for span in each} == {*PII_KINDS} - {"secret"}


def test_masks_of_real_mail_are_no_data_again(shared_data: Path) -> None:
    for text in texts_of(shared_data, "mail_spamassassin.zip", 60):
        assert spans(pii_twin.masked(text)) == []


def test_spans_equal_the_reference_on_the_standard_library() -> None:
    folder = Path(sysconfig.get_path("stdlib"))
    for name in ("ipaddress.py", "smtplib.py", "this.py", "LICENSE.txt", "pydoc_data/topics.py", "idlelib/HISTORY.txt"):
        if (folder / name).is_file():
            text = (folder / name).read_text("utf-8")
            assert spans(text) == pii_twin.spans(text)


MIXED = ["foo@bar.com, then 85.12.3.4", None, "", "é 电话 +44 20 7946 0958\n", "nothing", "(212) 555-0123 " * 40, "a"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("bounds", [(0, 7), (1, 5), (2, 2), (4, 7)])
def test_a_batch_means_the_same_in_every_string_type_and_slice(kind: pa.DataType, bounds: tuple[int, int]) -> None:
    sliced = pii(batch_of(MIXED, kind).slice(bounds[0], bounds[1] - bounds[0])).to_pylist()
    wanted = {str(number) for number in range(*bounds)}
    assert sliced == [row for row in pii(batch_of(MIXED)).to_pylist() if row["doc_id"] in wanted]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_neither_threads_nor_batches_change_a_span(threads: int, rows: int) -> None:
    batch = batch_of(MIXED)
    parts = [batch.slice(start, rows) for start in range(0, len(MIXED), rows)]
    assert pa.concat_batches(run_threads(pii, parts, threads=threads)).equals(pii(batch))


def test_every_document_has_a_row_and_one_without_data_has_start_minus_one() -> None:
    rows = pii(batch_of(MIXED)).to_pylist()
    assert [row["doc_id"] for row in rows if row["start"] < 0] == ["1", "2", "4", "6"]
    assert {(row["kind"], row["stop"], row["mask"]) for row in rows if row["start"] < 0} == {(None, -1, None)}
    assert {row["doc_id"] for row in rows} == set("0123456") and {row["version"] for row in rows} == {PII_VERSION}
    assert pii(batch_of([])).schema.equals(PII) and pii(batch_of([])).num_rows == 0
    assert set(KINDS.values()) == set(PII_KINDS)


def test_a_text_that_is_no_utf8_is_searched_within_its_bounds() -> None:
    broken = [
        b"\xff@a.de",
        b"x@\xe2\x80",
        b"1.2.3.\xf0",
        b"+",
        b"(",
        b"A1",
        b"85.1.1.1",
        b"@",
        b"\xc2 4111",
        b"1",
        b"2",
    ]
    array = pa.array(broken, pa.large_binary()).view(pa.large_string())
    rows = pii(pa.RecordBatch.from_arrays([pa.array(list("abcdefghijk")), array], ["doc_id", "text"])).to_pylist()
    assert [(row["doc_id"], row["kind"]) for row in rows if row["kind"]] == [("g", "ip")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("version 1.2.3.4, section 3.2.1.4, v85.1.2.3, foo-85.1.2.3.tar.gz, pip==85.1.2.3", "versions"),
        ("10.0.0.1 127.0.0.1 192.0.2.1 224.0.0.251 ::1 fec0::1 2001:db8::7", "addresses of no host"),
        ("2024-01-02 2024-01-02T03:04:05+01:00 01/02/2024 12:34:56 1700000000", "dates and times"),
        ("ISBN 978-0-306-40615-7, 0-306-40615-2, 9780306406157", "ISBNs"),
        (
            "00:1a:2b:3c:4d:5e std::vector a[1::2] 550e8400-e29b-41d4-a716-446655440000",
            "other things with colons, dashes",
        ),
        ("icon@2x.png a@b.shape @app.route x@1.2.3 user@localhost", "names with an @"),
        ("4111111111111112 1234567890123456 DE89370400440532013001 ZZ89370400440532013000", "sums that are off"),
        ("123-456-7890 (012) 345-6789 +0 123 456 789 +99912345678", "numbers of no range"),
    ],
)
def test_what_only_looks_like_personal_data_is_none(text: str, why: str) -> None:
    assert spans(text) == [], why


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("Jane.Doe+x@Mail.Example.co.uk", "user@example.org"),
        ("85.12.3.4", "192.0.2.1"),
        ("2a00:1450:4001:81b::200e", "2001:db8::1"),
        ("+44 (0)20 7946 0958", "+00 (0)00 0000 0000"),
        ("(650) 253-0000", "(000) 000-0000"),
        ("4111-1111-1111-1111", "0000-0000-0000-0001"),
        ("GB82 WEST 1234 5698 7654 32", "XX00 XXXX 0000 0000 0000 00"),
        ("078-05-1120", "000-00-0000"),
        ("6e40:4041:c617:e898:c11:40d2:c669:2eb4", "2001:db8::1"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIA0000000000000000"),
        ("ghs_16C7e42F292c6912E7710c838347Ae178B4a", "ghs_" + "0" * 36),
        ("github_pat_" + "1aB" * 7 + "x_" + "9z" * 29 + "Q", "github_pat_" + "0" * 22 + "_" + "0" * 59),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-mF0", "eyJ00000000000000000.eyJ000000000000.0000-000"),
    ],
)
def test_a_mask_has_the_shape_of_what_it_hides(text: str, mask: str) -> None:
    assert [(span[1:]) for span in spans(f"({text})")] == [(1, len(text) + 1, mask)]
    assert not any(character in mask for character in "23456789") or "@" in mask or "192.0.2" in mask or "2001" in mask


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("my phone number is 699 956 915", "699 956 915"),
        ("Call me at (37) 788-063!", "(37) 788-063"),
        ("FAX: 03.93.92.16.85", "03.93.92.16.85"),
        ("whatsapp 07700 063 966 or mail", "07700 063 966"),
        ("tel. 905-674-3793", "905-674-3793"),
        ("Phone:\n60-56-85-91", "60-56-85-91"),
        ("Phone:\n\n60-56-85-91", None),
        ("a phone\nand 699 956 915", None),
        ("the telegraph office, 699 956 915", None),
        ("call on 2024-01-02 or 02.01.2024", None),
        ("call for $1234567 or 12,345,678", None),
        ("phone: 000 000 000", None),
        ("phone" + " " * 65 + "699 956 915", None),
    ],
)
def test_a_word_on_its_line_makes_groups_of_digits_a_telephone_number(text: str, number: str | None) -> None:
    found = [text[start:stop] for kind, start, stop, _ in spans(text) if kind == "phone"]
    assert found == ([number] if number else [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("DNS 8.8.8.8, release 8.8.4.4; then 8.8.1.1", [("ip", "8.8.8.8"), ("ip", "8.8.4.4"), ("ip", "8.8.1.1")]),
        ("your IP address:\n1.1.1.1\n1.0.0.1", [("ip", "1.1.1.1")]),
        (
            "router 192.168.1.77, 100.127.0.1 and 10.0.0.1",
            [("private_ip", "192.168.1.77"), ("private_ip", "100.127.0.1")],
        ),
        ("Gateway 10.0.0.1, not 127.0.0.1 or 0.0.0.0", [("private_ip", "10.0.0.1")]),
        (
            "fe80::1%eth0 [FD12:3456:789a::], fcab:cd::5; fe8::1 xfe80::1 feed::b1 face:b00c:1:2:3:4:5:6 fdab::cd",
            [("private_ip", "fe80::1"), ("private_ip", "FD12:3456:789a::"), ("private_ip", "fcab:cd::5")],
        ),
        ("fd00:0:0:0:a:b:c:d fd00:0:0:0:a:b:c", [("private_ip", "fd00:0:0:0:a:b:c:d")]),
        ("zip 8.8.8.8 pings 8.8.8.8" + " so" * 30 + " 8.8.8.8", []),
    ],
)
def test_small_addresses_are_some_by_a_word_before_them_and_private_ones_apart(
    text: str, found: list[tuple[str, str]]
) -> None:
    assert [(kind, text[start:stop]) for kind, start, stop, _ in spans(text)] == found
    assert spans(text) == pii_twin.spans(text)


PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQ+/\n3aQ=\n-----END RSA PRIVATE KEY-----"


def test_of_a_private_key_all_between_its_first_and_last_line_is_hidden() -> None:
    ((kind, _, _, mask),) = spans(f"key = '{PEM}'")
    assert (kind, mask) == ("secret", "\n00000000000000+/\n000=\n")
    assert spans(f"{PEM[:31]}{mask}-----END RSA PRIVATE KEY-----") == []
    for other in (
        *(PEM.replace("PRIVATE", "PUBLIC"), PEM.replace("END", "FIN"), "x" + PEM, PEM[:31] + "a" * 16_400),
        *(PEM.replace("AKCAQ+/", "AKCAQ"), PEM.replace("\n3", "\n_3"), PEM.replace("\n3", "\né3")),
        'FIRST, LAST = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"',
    ):
        assert spans(other) == pii_twin.spans(other) == []


def test_a_private_key_in_source_code_is_hidden_with_its_headers_and_quotes() -> None:
    code = PEM.replace("\nMII", "\\nProc-Type: 4,ENCRYPTED\\n\"\n  'MII")
    ((kind, _, _, mask),) = spans(code)
    assert kind == "secret" and set(mask) <= set("0+/=:,-\"'\\ \n") and spans(code) == pii_twin.spans(code)


def test_what_only_looks_like_a_secret_is_none() -> None:
    for text in (
        "AKIAIOSFODNN7EXAMPL AKIAIOSFODNN7EXAMPLEX akiaiosfodnn7example AKIAIOSFODNN8EXAMPLE",
        "ghx_16C7e42F292c6912E7710c838347Ae178B4a ghp_16C7e42F292c6912E7710c8383",
        "eyJhbGciOiJIUzI1NiJ9 eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0 eyJhbGciOiJIUzI1NiJ9.abc.def",
        "x-AKIAIOSFODNN7EXAMPLE https_eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    ):
        assert spans(text) == pii_twin.spans(text) == []


def test_a_token_before_an_at_is_no_address_masked_or_not() -> None:
    text = "https://ghp_16C7e42F292c6912E7710c838347Ae178B4a@github.com/x"
    assert [span[0] for span in spans(text)] == ["secret"]
    assert spans(pii_twin.masked(text)) == []


def test_no_region_takes_a_mask_of_zeros_for_a_telephone_number() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        for mask in ("0000000000", "00000000000", "000000000000"):
            assert not phonenumbers.is_valid_number(phonenumbers.parse(mask, region)), region
