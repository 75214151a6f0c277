"""Who made a release: an Ed25519 signature (RFC 8032) of the bytes of its manifest, 64 bytes in ``manifest.sig``.

A manifest holds the hash of every file, so its signature covers them all. Keys are PEM files as ``openssl genpkey
-algorithm ed25519`` writes them. Needs the extra ``ml-warehouse[sign]``, when a key is named and not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import IntegrityError, MissingExtra, NotFound, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = "manifest.sig"


def sign(content: bytes, key: Path) -> bytes:
    """The signature of these bytes by the private key in a PEM file; equal bytes give an equal one.

    Raises NotFound where the file is not there, UsageError for what is no such key.
    """
    return _private(key).sign(content)


def check(content: bytes, signature: bytes | None, key: Path, *, where: str) -> None:
    """Raise IntegrityError unless ``signature`` is that of these bytes by the owner of the public key in a PEM file.

    where: what errors call the bytes. Raises NotFound, UsageError for the key as ``sign`` does.
    """
    public = _public(key)
    if signature is None:
        raise IntegrityError(f"{where} is not signed", allowed=f"a signature by {key}", do="ask whoever made it")
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, content)
    except InvalidSignature:
        raise IntegrityError(
            f"the signature of {where} is not by {key}", allowed="bytes that its owner signed", do="do not use it"
        ) from None


def _private(key: Path) -> Ed25519PrivateKey:
    raw = _read(key)
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    try:
        found = load_pem_private_key(raw, None)
    except (ValueError, TypeError):
        raise _no_key(key, "private") from None
    if not isinstance(found, Ed25519PrivateKey):
        raise _no_key(key, "private")
    return found


def _public(key: Path) -> Ed25519PublicKey:
    raw = _read(key)
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    try:
        found = load_pem_public_key(raw)
    except ValueError:
        raise _no_key(key, "public") from None
    if not isinstance(found, Ed25519PublicKey):
        raise _no_key(key, "public")
    return found


def _read(key: Path) -> bytes:
    try:
        return key.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise NotFound(f"no key {key}", allowed="a PEM file") from None


def _no_key(key: Path, side: str) -> UsageError:
    return UsageError(
        f"{key} holds no {side} key that can be used",
        allowed="Ed25519 in PEM, without a passphrase",
        do="openssl genpkey -algorithm ed25519 -out signing.pem; openssl pkey -in signing.pem -pubout -out public.pem",
    )


def _missing(error: ModuleNotFoundError) -> MissingExtra:
    return MissingExtra(f"the package {error.name!r} is not installed", do="pip install 'ml-warehouse[sign]'")
