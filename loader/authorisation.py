"""Who answers for an extension: decided when an image is composed, and shown.

    Candidate (name, file, bytes, signature) -> Authority 1 -> Authority 2 ... -> Authorisation, or refused

An `Authority` either answers for a candidate or says why it doesn't; the first to answer decides. There are
two: a name that the user trusts explicitly, and a signature by a trusted key. An authority that looks at the
machine code itself (as SafeX's typed assembly is checked) will be a third class with this method; nothing
else changes.

Only what is given on the command line or in a manifest is trusted: no file of the project and no default is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

from loader.sandbox_object import SandboxError


class Kind(IntEnum):
    """ULS_AUTHORISATION_x of the guest's ABI."""

    NONE = 0
    TRUSTED = 1
    SIGNED = 2


class Rule(StrEnum):
    """What a candidate may break."""

    UNSIGNED = "an extension is signed by a trusted key, or trusted by name"
    MALFORMED = "a signature file has the four lines that `ringtoll sign` writes"
    ALTERED = "the file is the one that was signed"
    FORGED = "the signature verifies under its key"
    UNTRUSTED_KEY = "the signing key is one of the trusted keys"


class AuthorisationError(SandboxError):
    """Nobody answers for an extension."""

    def __init__(self, file: str, broken: Rule, what: str, advice: str) -> None:
        super().__init__(file, f"{what} (rule: {broken}); {advice}")
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Authorisation:
    """Who answers, in one line."""

    kind: Kind = Kind.NONE
    by: str = "nobody was asked"


NOBODY = Authorisation()


@dataclass(frozen=True, slots=True)
class Candidate:
    """An extension that wants to be loaded; `signature` is what its signature file holds, if it has one."""

    name: str
    file: str
    data: bytes
    signature: bytes | None = None


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an authority does not answer for a candidate, and what to do."""

    broken: Rule
    what: str
    advice: str


class Authority(Protocol):
    """Something that can answer for extensions: the place where verification of machine code comes in."""

    def judge(self, candidate: Candidate) -> Authorisation | Objection:
        """Answer for the candidate, or object."""


@dataclass(frozen=True, slots=True)
class TrustedNames:
    """Trusted by name, explicitly, whatever the file holds."""

    names: frozenset[str]

    def judge(self, candidate: Candidate) -> Authorisation | Objection:
        """The name is on the list."""
        if candidate.name in self.names:
            return Authorisation(Kind.TRUSTED, "trusted by name")
        advice = "sign it (`ringtoll sign`) and trust the key, or trust it as it is: "
        advice += f"--trust-unsigned {candidate.name}"
        return Objection(Rule.UNSIGNED, "it is not signed", advice)


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Signed by one of these Ed25519 public keys (32 bytes each, with the file it came from)."""

    keys: dict[bytes, str]

    def judge(self, candidate: Candidate) -> Authorisation | Objection:
        """The signature is there, is about this file, and verifies under a trusted key."""
        from loader.signature import fingerprint, parse_signature

        if candidate.signature is None:
            return TrustedNames(frozenset()).judge(candidate)
        signature = parse_signature(candidate.signature)
        again = "sign it again (`ringtoll sign`)"
        if signature is None:
            return Objection(Rule.MALFORMED, "its signature file is malformed", again)
        if not signature.matches(candidate.data):
            return Objection(Rule.ALTERED, "it was altered after it had been signed", again)
        key = fingerprint(signature.key)
        if not signature.verifies(candidate.data):
            return Objection(Rule.FORGED, f"its signature does not verify under key {key}", again)
        if signature.key not in self.keys:
            what = f"it is signed by key {key}, which is not trusted"
            return Objection(Rule.UNTRUSTED_KEY, what, "give the public key if you trust it: --trust KEY.pub")
        return Authorisation(Kind.SIGNED, f"signed by {key} ({self.keys[signature.key]})")


def authorise(candidate: Candidate, authorities: Sequence[Authority]) -> Authorisation:
    """The answer of the first authority that gives one; or AuthorisationError with the last objection."""
    objection = TrustedNames(frozenset()).judge(candidate)
    for authority in authorities:
        objection = authority.judge(candidate)
        if isinstance(objection, Authorisation):
            return objection
    if isinstance(objection, Authorisation):  # no authority at all, and the empty list trusts nobody
        return objection
    raise AuthorisationError(candidate.file, objection.broken, objection.what, objection.advice)


def policy(keys: dict[bytes, str], names: Iterable[str]) -> list[Authority]:
    """The authorities for trusted keys and names: names first, since the user has named them."""
    return [TrustedNames(frozenset(names)), TrustedKeys(keys)]
