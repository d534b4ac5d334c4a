"""Who answers for an extension: signatures, trusted keys and names, and every way to be refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.authorisation import (
    Authorisation,
    AuthorisationError,
    Candidate,
    Kind,
    Objection,
    Rule,
    TrustedKeys,
    TrustedNames,
    authorise,
    policy,
)
from loader.sandbox import SandboxError
from loader.signature import (
    BadKey,
    Signature,
    fingerprint,
    load_public,
    load_seed,
    new_key,
    parse_signature,
    sign,
)

DATA = b"an extension" * 10
SEED, OTHER = (hashlib.sha256(name).digest() for name in (b"one", b"two"))
SIGNATURE = sign(SEED, DATA)
KEYS = TrustedKeys({SIGNATURE.key: "dev.pub"})


def candidate(signature: Signature | bytes | None = SIGNATURE, data: bytes = DATA) -> Candidate:
    held = signature.text().encode() if isinstance(signature, Signature) else signature
    return Candidate("counter", "counter.o", data, held)


def refused(broken: Rule, who: Candidate, *authorities: TrustedKeys | TrustedNames) -> str:
    with pytest.raises(AuthorisationError) as caught:
        authorise(who, authorities)
    assert caught.value.broken is broken
    assert isinstance(caught.value, SandboxError)
    message = str(caught.value)
    assert message.startswith("counter.o: ")
    assert broken in message
    return message


def test_signed_by_a_trusted_key() -> None:
    found = authorise(candidate(), [KEYS])
    assert found == Authorisation(Kind.SIGNED, f"signed by {fingerprint(SIGNATURE.key)} (dev.pub)")


def test_trusted_by_name_whatever_the_signature_says() -> None:
    for signature in (None, b"nonsense", SIGNATURE):
        assert authorise(candidate(signature), policy({}, ["counter"])).kind is Kind.TRUSTED


def test_unsigned_is_refused_and_the_message_says_what_to_do() -> None:
    message = refused(Rule.UNSIGNED, candidate(None), KEYS)
    assert "ringtoll sign" in message
    assert "--trust-unsigned counter" in message
    refused(Rule.UNSIGNED, candidate(), TrustedNames(frozenset({"other"})))
    refused(Rule.UNSIGNED, candidate())


def test_altered_is_refused() -> None:
    for at in range(len(DATA)):
        changed = DATA[:at] + bytes([DATA[at] ^ 1]) + DATA[at + 1 :]
        refused(Rule.ALTERED, candidate(data=changed), KEYS)


def test_a_hash_that_was_made_to_fit_does_not_help() -> None:
    forged = Signature(hashlib.sha256(b"evil").hexdigest(), SIGNATURE.key, SIGNATURE.signature)
    refused(Rule.FORGED, candidate(forged, b"evil"), KEYS)


def test_wrongly_signed_is_refused() -> None:
    message = refused(Rule.UNTRUSTED_KEY, candidate(sign(OTHER, DATA)), KEYS)
    assert "--trust" in message
    stolen = Signature(SIGNATURE.sha256, SIGNATURE.key, sign(OTHER, DATA).signature)
    refused(Rule.FORGED, candidate(stolen), KEYS)


def test_a_signature_of_the_same_bytes_in_another_context_is_none() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    bare = Ed25519PrivateKey.from_private_bytes(SEED).sign(DATA)
    refused(Rule.FORGED, candidate(Signature(SIGNATURE.sha256, SIGNATURE.key, bare)), KEYS)


@pytest.mark.parametrize(
    "text", [b"", b"\xff", SIGNATURE.text().encode()[:-1], SIGNATURE.text().encode() + b"x\n", b"a" * 10_000]
)
def test_a_malformed_signature_file_is_refused(text: bytes) -> None:
    refused(Rule.MALFORMED, candidate(text), KEYS)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(SIGNATURE.text()) - 1), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_no_change_of_a_signature_file_is_accepted(changes: list[tuple[int, int]]) -> None:
    text = bytearray(SIGNATURE.text().encode())
    for at, value in changes:
        text[at] = value
    if bytes(text).replace(b"\r\n", b"\n") == SIGNATURE.text().encode():
        return
    assert isinstance(KEYS.judge(candidate(bytes(text))), Objection)


def test_a_signature_file_is_read_as_it_was_written() -> None:
    assert parse_signature(SIGNATURE.text().encode()) == SIGNATURE
    assert parse_signature(SIGNATURE.text().replace("\n", "\r\n").encode()) == SIGNATURE
    assert sign(SEED, DATA) == SIGNATURE


def test_key_files_hold_keys_and_nothing_else() -> None:
    private, public = new_key()
    assert sign(load_seed("k", private), DATA).key == load_public("k.pub", public)
    for wrong in (b"", public, b"\xff" * 100, private[:60]):
        with pytest.raises(BadKey, match="k: not a private key"):
            load_seed("k", wrong)
    for wrong in (b"", private, public[:30]):
        with pytest.raises(BadKey, match="k: not a public key"):
            load_public("k", wrong)


def test_keys_of_other_algorithms_are_refused() -> None:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    key = X25519PrivateKey.generate()
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(BadKey, match="not for Ed25519"):
        load_seed("k", private)
    with pytest.raises(BadKey, match="not for Ed25519"):
        load_public("k", public)


def test_another_authority_is_a_class_with_one_method() -> None:
    """Where the verification of machine code comes in."""

    class NothingButReturns:
        def judge(self, candidate: Candidate) -> Authorisation | Objection:
            if set(candidate.data) == {0xC3}:
                return Authorisation(Kind.TRUSTED, "it can do no harm")
            return Objection(Rule.UNSIGNED, "it does something", "leave that out")

    authorities = [KEYS, NothingButReturns()]
    assert authorise(candidate(None, b"\xc3" * 9), authorities).by == "it can do no harm"
    with pytest.raises(AuthorisationError, match=r"it does something .*; leave that out"):
        authorise(candidate(None), authorities)
