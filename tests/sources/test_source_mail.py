"""E-mail: messages and mbox files against Python's own parsers, and the rules for bodies, attachments and dates."""

from __future__ import annotations

import email
import email.policy
import mailbox
import re
import tempfile
import zipfile
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from outcomes import outcome

from warehouse.sources import Limits
from warehouse.sources.mail import QUOTED


def message(body: str = "Hello there.", **fields: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in {
        "From": "a@b.example",
        "Date": "Tue, 5 Mar 2024 08:00:00 +0100",
        "Subject": "Heat",
        **fields,
    }.items():
        made[name] = value
    made.set_content(body)
    return made


def test_a_message_has_its_text_subject_and_date(reading):
    row = reading(message("Grüße\r\n", Subject="Wärme: 冷却", Content_Language="de").as_bytes(), "in/1").rows[0]
    assert (row["text"], row["title"]) == ("Grüße", "Wärme: 冷却")
    assert (row["uri"], row["record"], row["known_at"]) == ("in/1", "0", None)
    assert row["published_at"] == datetime(2024, 3, 5, 7, tzinfo=UTC)


def test_of_alternatives_the_plain_text_is_taken_and_html_where_there_is_none(reading):
    both = message("Plain words.")
    both.add_alternative("<p>Words of <b>HTML</b>.</p>", subtype="html")
    only = message()
    only.set_content("<p>Words of <b>HTML</b>.</p><p>More.</p>", subtype="html")
    assert reading(both.as_bytes(), "a.eml").column("text") == ["Plain words."]
    assert [text.split() for text in reading(only.as_bytes(), "a.eml").column("text")] == [
        ["Words", "of", "HTML.", "More."]
    ]


def test_attachments_are_dropped_and_counted_and_a_message_without_text_too(reading):
    made = message("See below.")
    made.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="a.png")
    made.add_attachment("a,b\n", subtype="csv", filename="a.csv")
    made.add_attachment(message("Forwarded."))
    result = reading(made.as_bytes(), "a.eml")
    assert (result.column("text"), result.dropped) == (["See below."], {"attachment": 3})
    silent = reading(message(" ").as_bytes(), "a.eml")
    assert (silent.dropped, silent.rows) == ({"no_text": 1}, [])


def test_what_is_no_message_is_a_reject(reading):
    assert reading(b"just words\n", "a.eml").reasons == {"not_mail": 1}
    assert reading(message().as_bytes() + b"\0", "a.eml").reasons == {"not_mail": 1}
    large = reading(message("x" * 999).as_bytes(), "a.eml", limits=Limits(max_record_bytes=500))
    assert large.reasons == {"record_too_large": 1}


def test_bad_headers_charsets_and_nesting_spoil_nothing(reading):
    bad = b"From: a\nDate: never\nSubject: =?nope?Q?x?= \xff\nContent-Type: text/plain; charset=nope\n\n"
    bad += b"caf\xe9 and more\n"
    row = reading(bad, "a.eml").rows[0]
    assert (row["text"], row["published_at"]) == ("café and more", None)
    deep = b"From: a\nDate: b\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)
    )
    result = reading(deep, "a.eml")
    assert result.met == 1


BODIES = st.lists(
    st.lists(st.sampled_from(["word", "From here on", ">From there", "", "From a Mon 10:00 2024"]), max_size=5),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(BODIES)
def test_an_mbox_holds_the_messages_that_were_written_to_it(bodies):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box"
        box = mailbox.mbox(str(path))
        for number, lines in enumerate(bodies):
            box.add(message("\n".join([f"Message {number}.", *lines])).as_bytes())
        box.close()
        result = outcome(path, "box.mbox")
    wanted = ["\n".join([f"Message {number}.", *lines]).strip() for number, lines in enumerate(bodies)]
    assert [unquoted(text) for text in result.column("text")] == [unquoted(text) for text in wanted]
    assert result.column("record") == [str(number) for number in range(len(bodies))]


def unquoted(text: str) -> str:
    """mailbox.mbox quotes ``From `` but not ``>From ``, so that one of both comes back without its mark."""
    return re.sub(r"(?m)^>*From ", "From ", QUOTED.sub(rb"\1", text.encode()).decode())


def test_a_message_that_is_too_large_leaves_the_rest_of_its_mbox(reading):
    one = b"From a@b Tue Mar  5 08:00:00 2024\n" + message("Short.").as_bytes() + b"\n"
    long = b"From a@b Tue Mar  5 08:00:00 2024\n" + message("x\n" * 9000).as_bytes() + b"\n"
    result = reading(one + long + one, "a.mbox", limits=Limits(max_record_bytes=5000))
    assert (result.column("record"), result.reasons) == (["0", "2"], {"record_too_large": 1})
    assert result.rejects[0].position == len(one)


def test_real_mail_has_the_plain_text_that_pythons_own_policy_finds(reading, shared_data: Path):
    with zipfile.ZipFile(shared_data / "mail_spamassassin.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".txt")][::60]
        compared = 0
        for name in names:
            raw = archive.read(name)
            result = reading(raw, name)
            assert result.met >= 1
            parsed = email.message_from_bytes(raw, policy=email.policy.default)
            if parsed.is_multipart() or parsed.get_content_type() != "text/plain" or not result.rows:
                continue
            try:
                wanted = parsed.get_content()
            except (LookupError, UnicodeError):
                continue
            if "\ufffd" not in wanted:
                assert result.rows[0]["text"].split() == wanted.split()
                compared += 1
    assert compared >= 30
