"""Keys and detached signatures of extensions: Ed25519 (RFC 8032), by the package `cryptography`.

KEY          private key, PEM (PKCS #8, RFC 8410)                  `openssl pkey -in KEY -text` reads it
KEY.pub      public key, PEM (SubjectPublicKeyInfo, RFC 8410)
FILE.sig     text, four lines:

    ringtoll signature 1
    sha256 <64 hexadecimal digits>       of FILE; only so that a message can say what is wrong
    key <64 hexadecimal digits>          the public key, 32 bytes
    signature <128 hexadecimal digits>   over "ringtoll extension 1" NUL and every byte of FILE
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FIRST_LINE = "ringtoll signature 1"
CONTEXT = b"ringtoll extension 1\0"
SUFFIX = ".sig"
LONGEST = 4096
"""Bytes of a file with a key or a signature: more is something else."""
TEXT = re.compile(
    rf"{FIRST_LINE}\nsha256 ([0-9a-f]{{64}})\nkey ([0-9a-f]{{64}})\nsignature ([0-9a-f]{{128}})\n"
)


class BadKey(Exception):
    """A file holds no usable key."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The contents of a signature file."""

    sha256: str
    key: bytes
    signature: bytes

    def text(self) -> str:
        """The file."""
        lines = (
            FIRST_LINE,
            f"sha256 {self.sha256}",
            f"key {self.key.hex()}",
            f"signature {self.signature.hex()}",
        )
        return "\n".join(lines) + "\n"

    def matches(self, data: bytes) -> bool:
        """Is it about these bytes, as far as the hash says?"""
        return hashlib.sha256(data).hexdigest() == self.sha256

    def verifies(self, data: bytes) -> bool:
        """Did the holder of `key` sign these bytes?"""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(self.signature, CONTEXT + data)
        except (InvalidSignature, ValueError):
            return False
        return True


def parse_signature(data: bytes) -> Signature | None:
    """Read a signature file; None if it is none."""
    found = (
        TEXT.fullmatch(data.replace(b"\r\n", b"\n").decode("ascii", "replace"))
        if len(data) <= LONGEST
        else None
    )
    return Signature(found[1], bytes.fromhex(found[2]), bytes.fromhex(found[3])) if found else None


def new_key() -> tuple[bytes, bytes]:
    """Make a key pair; the contents of KEY and KEY.pub."""
    return _pem(Ed25519PrivateKey.generate())


def _pem(key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def load_seed(file: str, data: bytes) -> bytes:
    """The 32 bytes of the private key in a PEM file; BadKey if there is none."""
    try:
        key = serialization.load_pem_private_key(data[: LONGEST + 1], password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{file}: not a private key in PEM (`ringtoll key new` makes one)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(f"{file}: the key is not for Ed25519")
    return key.private_bytes_raw()


def load_public(file: str, data: bytes) -> bytes:
    """The 32 bytes of the public key in a PEM file; BadKey if there is none."""
    try:
        key = serialization.load_pem_public_key(data[: LONGEST + 1])
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{file}: not a public key in PEM (`ringtoll key new KEY` makes KEY.pub)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"{file}: the key is not for Ed25519")
    return key.public_bytes_raw()


def sign(seed: bytes, data: bytes) -> Signature:
    """Sign a file. The same key and bytes give the same signature."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    return Signature(hashlib.sha256(data).hexdigest(), public, key.sign(CONTEXT + data))


def fingerprint(public: bytes) -> str:
    """A short name of a public key: the first 16 digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]
