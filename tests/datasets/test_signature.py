"""A release is signed by whoever has the key, and a wrong or missing signature is refused by verify and pull."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from warehouse.datasets import Release, verify
from warehouse.errors import IntegrityError, MissingExtra, NotFound, UsageError
from warehouse.loader import pull
from warehouse.project import load
from warehouse.signature import check, sign

Pair = tuple[Path, Path]


def key_pair(folder: Path, private: Ed25519PrivateKey | X25519PrivateKey, *, secret: bytes = b"") -> Pair:
    """PEM files of a private key and of its public one."""
    folder.mkdir(parents=True)
    closed = BestAvailableEncryption(secret) if secret else NoEncryption()
    (folder / "signing.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closed))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(public)
    return folder / "signing.pem", folder / "public.pem"


@pytest.fixture
def keys(tmp_path: Path) -> Pair:
    return key_pair(tmp_path / "keys", Ed25519PrivateKey.generate())


@pytest.fixture
def copy(tmp_path: Path, made: tuple[Any, Release]) -> Path:
    return Path(shutil.copytree(made[1].path, tmp_path / "copy"))


def test_rfc_8032_signs_and_checks_as_it_prints(tmp_path: Path) -> None:
    """Its section 7.1, test 3."""
    seed = bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")
    private, public = key_pair(tmp_path / "keys", Ed25519PrivateKey.from_private_bytes(seed))
    signed = sign(bytes.fromhex("af82"), private)
    assert signed.hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    check(bytes.fromhex("af82"), signed, public, where="it")


def test_a_signed_export_is_checked_wherever_it_goes_and_its_id_is_that_of_one_unsigned(
    make_world: Callable[..., Any], rows: list[dict[str, Any]], tmp_path: Path, keys: Pair
) -> None:
    private, public = keys
    world = make_world(tmp_path / "world", rows)
    unsigned = world.export()
    assert not (unsigned.path / "manifest.sig").exists()
    again = world.export(signing_key=private)
    assert (again.written, again.id, again.path) == (False, unsigned.id, unsigned.path)
    signed = world.export(out="signed", signing_key=private)
    assert signed.id == unsigned.id
    for release in (again, signed):
        assert (release.path / "manifest.sig").read_bytes() == sign(
            (release.path / "manifest.json").read_bytes(), private
        )
        verify(release.path, key=public)
    to = pull(signed.path, tmp_path / "to", key=public).path
    assert (to / "manifest.sig").read_bytes() == (signed.path / "manifest.sig").read_bytes()
    verify(to, key=public)


def test_a_wrong_or_missing_signature_is_refused(copy: Path, tmp_path: Path, keys: Pair) -> None:
    private, public = keys
    other, _ = key_pair(tmp_path / "others", Ed25519PrivateKey.generate())
    manifest = (copy / "manifest.json").read_bytes()
    right = sign(manifest, private)
    altered = right[:-1] + bytes([right[-1] ^ 1])
    wrong = [sign(manifest, other), sign(manifest[:-1], private), b"", right[:-1], altered, right + b"\0"]
    for signature in (None, *wrong):
        if signature is not None:
            (copy / "manifest.sig").write_bytes(signature)
        for refused in (lambda: verify(copy, key=public), lambda: pull(copy, tmp_path / "to", key=public)):
            with pytest.raises(IntegrityError, match=r"not signed|signature of .*manifest\.json is not by"):
                refused()
        assert not (tmp_path / "to").exists()
    (copy / "manifest.sig").write_bytes(right)
    verify(copy, key=public)
    pull(copy, tmp_path / "to", key=public)


def test_openssl_checks_it_too(copy: Path, keys: Pair) -> None:
    """A second opinion, where the machine has one: RFC 8032's vector is tested without."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl")
    private, public = keys
    (copy / "manifest.sig").write_bytes(sign((copy / "manifest.json").read_bytes(), private))
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin", "-in", "manifest.json"]
    ended = subprocess.run([*command, "-sigfile", "manifest.sig"], cwd=copy, capture_output=True, check=False)
    assert (ended.returncode, b"Verified Successfully" in ended.stdout) == (0, True), ended.stderr


def test_what_is_no_key_is_refused_before_the_work(
    make_world: Callable[..., Any], rows: list[dict[str, Any]], copy: Path, tmp_path: Path, keys: Pair
) -> None:
    private, public = keys
    closed, _ = key_pair(tmp_path / "closed", Ed25519PrivateKey.generate(), secret=b"hush")
    other, other_public = key_pair(tmp_path / "x25519", X25519PrivateKey.generate())
    world = make_world(tmp_path / "world", rows[:20])
    for key in (public, closed, other, copy / "manifest.json"):
        with pytest.raises(UsageError, match="holds no private key"):
            world.export(signing_key=key)
    for key in (private, other_public, copy / "manifest.json"):
        with pytest.raises(UsageError, match="holds no public key"):
            verify(copy, key=key)
    with pytest.raises(NotFound, match="no key"):
        verify(copy, key=tmp_path / "nowhere.pem")


def test_the_key_of_a_project_is_stated_by_warehouse_toml_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "warehouse.toml").write_text("")
    assert load(tmp_path).signing_key is None
    (tmp_path / "warehouse.toml").write_text('signing_key = "keys/signing.pem"')
    assert load(tmp_path).signing_key == tmp_path / "keys/signing.pem"
    monkeypatch.setenv("WAREHOUSE_SIGNING_KEY", "/other.pem")
    assert load(tmp_path).signing_key == Path("/other.pem")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, copy: Path, keys: Pair) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptography")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    private, public = keys
    with pytest.raises(MissingExtra, match=r"pip install 'ml-warehouse\[sign\]'"):
        verify(copy, key=public)
    with pytest.raises(MissingExtra, match=r"pip install 'ml-warehouse\[sign\]'"):
        sign(b"", private)
