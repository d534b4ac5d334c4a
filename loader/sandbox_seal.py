"""The seal: what the kernel checks before it loads an extension (Ed25519, RFC 8032).

    message of an extension    "uls ext" NUL  | struct uls_entry up to the seal | segments
    message of the image       "uls base"     | struct uls_header up to the seal | entries | other segments
    segments                   each, in the order of the file: p_vaddr, p_filesz, p_memsz, p_flags, its bytes

The seal says that what the kernel loads is what the host has linked after it had judged where it came from
(`loader.authorisation`). It says nothing of who wrote it: a developer signs a file, and linking changes its
bytes. The key is the composer's. Where none is given it is derived from the image itself, so that the same
input makes the same image; such a seal finds what was altered, truncated or exchanged behind the linker's
back, but not what an attacker has sealed anew, who can derive a key as well and give it to the kernel.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from loader.sandbox_elf import PF_R, PF_W, PF_X, Segment

SEAL_SIZE = 64
EXTENSION, IMAGE = b"uls ext\0", b"uls base"


@dataclass(frozen=True)
class Sealer:
    """Makes seals with one key."""

    seed: bytes
    """The 32 bytes of an Ed25519 private key."""

    def seal(self, message: bytes) -> bytes:
        """Return 64 bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    @property
    def public(self) -> bytes:
        """The 32 bytes that the kernel is given (`uls_key=`)."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()


def derived_sealer(parts: Sequence[bytes]) -> Sealer:
    """The key of an image for which none was given."""
    return Sealer(hashlib.sha256(b"ringtoll seal key 1\0" + b"".join(parts)).digest())


def segments_message(segments: Sequence[Segment]) -> bytes:
    """The segments' part of a message."""
    out = bytearray()
    for s in segments:
        flags = PF_R | (PF_W if s.writable else 0) | (PF_X if s.executable else 0)
        out += struct.pack("<4I", s.address, len(s.data), s.size, flags) + s.data
    return bytes(out)
