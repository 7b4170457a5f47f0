"""Door 2: who vouches for a list, and what becomes of one that nobody vouches for."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initgate.errors import ConfigError, ListRejected
from initgate.trust import (
    Anyone,
    Pinned,
    PublicKey,
    Signed,
    Trust,
    Vouched,
    choose,
    load_key,
    make_key,
    sign,
)

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

pytest.importorskip("cryptography")

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = AT + timedelta(days=1)
NAME, CONTENT = "pdq.csv", b"algorithm,hash,entry\n"
ONE, TWO, STRANGER = (load_key(make_key(), source="a key") for _ in range(3))

# minisign's own: https://github.com/jedisct1/rust-minisign-verify
MINISIGN_KEY = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
MINISIGN_SIGNATURE = b"""\
untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==
"""


def _told(key: Ed25519PrivateKey) -> str:
    return str(PublicKey.of(key))


def _signed(content: bytes = CONTENT, *, key: Ed25519PrivateKey = ONE, at: datetime = AT) -> bytes:
    return sign(io.BytesIO(content), key, name=NAME, at=at)


def _verify(
    trust: Trust,
    content: bytes = CONTENT,
    signature: bytes | None = None,
    *,
    newest: datetime | None = None,
    now: datetime | None = None,
) -> Vouched:
    return trust.verify([io.BytesIO(content)], signature, source="the feed", newest=newest, now=now)


# ── Nothing, or a digest ─────────────────────────────────────────────────────────────────────


def test_what_nobody_vouches_for_says_so() -> None:
    assert _verify(Anyone()).by == "unsigned"


def test_a_pinned_list_is_taken() -> None:
    assert _verify(Pinned(hashlib.sha256(CONTENT).hexdigest().upper())).by == "pinned sha256"


@given(st.binary().filter(lambda content: content != CONTENT))
def test_any_other_list_than_the_pinned_one_is_rejected(content: bytes) -> None:
    with pytest.raises(ListRejected, match="the feed: its SHA-256 is"):
        _verify(Pinned(hashlib.sha256(CONTENT).hexdigest()), content)


@pytest.mark.parametrize("digest", ["", "abc", "00" * 31, "00" * 33, "g" * 64])
def test_what_is_no_digest_cannot_be_pinned(digest: str) -> None:
    with pytest.raises(ConfigError, match=r"sha256: .*64 hexadecimal digits"):
        Pinned(digest)


def test_pages_are_rewound() -> None:
    page = io.BytesIO(CONTENT)
    Pinned(hashlib.sha256(CONTENT).hexdigest()).verify([page], None, source="the feed")
    assert page.read() == CONTENT


def test_what_comes_in_pieces_has_no_digest() -> None:
    pages = [io.BytesIO(CONTENT), io.BytesIO(CONTENT)]
    with pytest.raises(ListRejected, match="2 pieces"):
        Pinned("00" * 32).verify(pages, None, source="the feed")


# ── Signatures ───────────────────────────────────────────────────────────────────────────────


def test_minisigns_signatures_are_taken() -> None:
    vouched = _verify(Signed([MINISIGN_KEY], name="test"), b"test", MINISIGN_SIGNATURE)
    assert vouched.by == "ed25519 key E7620F1842B4E81F"
    assert vouched.at == datetime(2021, 10, 8, 13, 47, 15, tzinfo=UTC)


def test_openssl_agrees_with_our_signatures(tmp_path: Path) -> None:
    """An independent check, of the file and of the comment: minisign's format, laid open."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    _, of_file, comment, of_comment = _signed().decode().splitlines()
    signature = base64.b64decode(of_file)[10:]
    secret, public = tmp_path / "secret.pem", tmp_path / "public.pem"
    secret.write_bytes(_pem(ONE))
    subprocess.run(  # noqa: S603  # our own files
        [openssl, "pkey", "-in", secret, "-pubout", "-out", public], check=True
    )
    for message, proof in (
        (hashlib.blake2b(CONTENT).digest(), signature),
        (
            signature + comment.removeprefix("trusted comment: ").encode(),
            base64.b64decode(of_comment),
        ),
    ):
        (tmp_path / "message").write_bytes(message)
        (tmp_path / "proof").write_bytes(proof)
        told = subprocess.run(  # noqa: S603  # our own files
            [
                *(openssl, "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"),
                *("-in", tmp_path / "message", "-sigfile", tmp_path / "proof"),
            ],
            capture_output=True,
            check=False,
        )
        if b"rawin" in told.stderr:  # before OpenSSL 3
            pytest.skip("openssl is too old")
        assert b"Verified Successfully" in told.stdout


@given(st.binary(max_size=300))
def test_what_was_signed_is_taken(content: bytes) -> None:
    vouched = _verify(Signed([_told(ONE)], name=NAME), content, _signed(content))
    assert (vouched.by, vouched.at) == (f"ed25519 key {PublicKey.of(ONE).name}", AT)


def test_a_list_configured_as_signed_is_never_taken_unsigned() -> None:
    for nothing in (None, b""):
        with pytest.raises(ListRejected, match="no signature lies beside it"):
            _verify(Signed([_told(ONE)]), signature=nothing)


@given(st.data())
def test_a_bit_flipped_in_the_list_is_found(data: st.DataObject) -> None:
    changed = bytearray(CONTENT)
    changed[data.draw(st.integers(0, len(CONTENT) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ListRejected, match="is of another file"):
        _verify(Signed([_told(ONE)]), bytes(changed), _signed())


@given(st.data())
def test_no_byte_of_a_signature_can_be_changed(data: st.DataObject) -> None:
    """But of the untrusted comment, which says that it may be."""
    signature = _signed()
    changed = bytearray(signature)
    start = signature.index(b"\n") + 1
    at = data.draw(st.integers(start, len(signature) - 2))
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    same = b"\n".join(filter(None, bytes(changed).replace(b"\r\n", b"\n").split(b"\n")))
    if same == signature.strip():
        return
    with pytest.raises(ListRejected, match="the feed"):
        _verify(Signed([_told(ONE)]), CONTENT, bytes(changed))


def test_a_strangers_signature_does_not_count() -> None:
    with pytest.raises(ListRejected, match=f"others: {PublicKey.of(STRANGER).name}"):
        _verify(Signed([_told(ONE)]), signature=_signed(key=STRANGER))


def test_a_stranger_cannot_sign_under_the_id_of_a_key() -> None:
    signature = _signed(key=STRANGER)
    line = base64.b64decode(signature.splitlines()[1])
    forged = base64.b64encode(line[:2] + PublicKey.of(ONE).key_id + line[10:])
    with pytest.raises(ListRejected, match="is of another file"):
        _verify(Signed([_told(ONE)]), signature=signature.replace(base64.b64encode(line), forged))


def test_a_comment_of_another_signature_is_found() -> None:
    ours, others = _signed().splitlines(), _signed(at=LATER).splitlines()
    with pytest.raises(ListRejected, match="comment beside the signature"):
        _verify(Signed([_told(ONE)]), signature=b"\n".join([*ours[:2], others[2], ours[3]]))


def test_a_list_signed_as_another_cannot_stand_in_for_it() -> None:
    other = sign(io.BytesIO(CONTENT), ONE, name="harmless.csv", at=AT)
    with pytest.raises(ListRejected, match=r"signed as 'harmless\.csv', not as 'pdq\.csv'"):
        _verify(Signed([_told(ONE)], name=NAME), signature=other)


def test_an_older_list_than_the_one_taken_last_is_rejected() -> None:
    with pytest.raises(ListRejected, match="before the version that is served"):
        _verify(Signed([_told(ONE)]), signature=_signed(), newest=LATER)


def test_the_list_taken_last_may_come_again() -> None:
    assert _verify(Signed([_told(ONE)]), signature=_signed(), newest=AT).at == AT


def test_as_many_must_sign_as_are_asked_for() -> None:
    trust = Signed([_told(ONE), _told(TWO)], at_least=2)
    both = _signed() + _signed(key=TWO, at=LATER)
    assert _verify(trust, signature=both).at == AT  # when the second of them had vouched for it
    for too_few in (_signed(), _signed() + _signed(at=LATER), _signed() + _signed(key=STRANGER)):
        with pytest.raises(ListRejected, match="signed by 1 of public_keys"):
            _verify(trust, signature=too_few)


def test_one_key_under_two_ids_signs_once() -> None:
    key, signature = PublicKey.of(ONE), _signed()
    other = replace(key, key_id=bytes(8))
    line = base64.b64decode(signature.splitlines()[1])
    renamed = base64.b64encode(line[:2] + other.key_id + line[10:])
    both = signature + signature.replace(base64.b64encode(line), renamed)
    assert _verify(Signed([str(other)]), signature=both).at == AT
    with pytest.raises(ListRejected, match="signed by 1 of public_keys"):
        _verify(Signed([str(key), str(other), _told(TWO)], at_least=2), signature=both)


def test_a_list_signed_in_the_future_would_keep_others_out_and_is_rejected() -> None:
    trust = Signed([_told(ONE)])
    with pytest.raises(ListRejected, match="which is yet to come"):
        _verify(trust, signature=_signed(at=LATER), now=AT)
    slightly = AT + timedelta(minutes=5)  # clocks differ
    assert _verify(trust, signature=_signed(at=slightly), now=AT).at == slightly


def test_either_of_two_keys_will_do_while_one_replaces_the_other() -> None:
    trust = Signed([_told(ONE), _told(TWO)])
    assert _verify(trust, signature=_signed()).by != _verify(trust, signature=_signed(key=TWO)).by


def test_one_wrong_signature_spoils_the_others() -> None:
    trust = Signed([_told(ONE), _told(TWO)])
    with pytest.raises(ListRejected, match="is of another file"):
        _verify(trust, signature=_signed() + _signed(b"other", key=TWO))


def test_minisigns_old_kind_is_told_from_the_new() -> None:
    signature = _signed()
    line = base64.b64decode(signature.splitlines()[1])
    old = signature.replace(base64.b64encode(line), base64.b64encode(b"Ed" + line[2:]))
    with pytest.raises(ListRejected, match="minisign's old kind"):
        _verify(Signed([_told(ONE)]), signature=old)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b"\n",
        b"untrusted comment: x\n",
        _signed()[:-10],
        _signed() + b"more\n",
        _signed().replace(b"untrusted", b"trusted"),
        _signed() * 400,
        b"-----BEGIN PGP SIGNATURE-----\n" * 4,
    ],
)
def test_what_is_no_signature_is_told(data: bytes) -> None:
    with pytest.raises(ListRejected, match="is no signature"):
        _verify(Signed([_told(ONE)]), signature=data)


@pytest.mark.parametrize("text", ["", "RW", MINISIGN_KEY[:-4], MINISIGN_KEY + "AAAA", "x" * 56])
def test_what_is_no_public_key_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="public_keys: "):
        Signed([text])


def test_no_fewer_keys_than_must_sign() -> None:
    for keys, at_least in (
        ([], 1),
        ([MINISIGN_KEY], 2),
        ([MINISIGN_KEY] * 2, 2),
        ([MINISIGN_KEY], 0),
    ):
        with pytest.raises(ConfigError, match="must have signed"):
            Signed(keys, at_least=at_least)


def test_a_public_key_reads_as_it_is_written() -> None:
    assert str(PublicKey.parse(MINISIGN_KEY)) == MINISIGN_KEY
    assert PublicKey.parse(_told(ONE)) == PublicKey.of(ONE)


# ── Rules that change ─────────────────────────────────────────────────────────────────────────

DIGEST = hashlib.sha256(CONTENT).hexdigest()
RULES: dict[str, Trust] = {
    "none": choose(),
    "digest": choose(sha256=DIGEST),
    "other digest": choose(sha256="00" * 32),
    "one": choose(public_keys=[_told(ONE)], name=NAME),
    "two": choose(public_keys=[_told(TWO)], name=NAME),
    "either": choose(public_keys=[_told(ONE), _told(TWO)], name=NAME),
    "both": choose(public_keys=[_told(ONE), _told(TWO)], at_least=2, name=NAME),
    "one, other name": choose(public_keys=[_told(ONE)], name="other.csv"),
    "root": choose(root=b"{}", name=NAME),
    "other root": choose(root=b"[]", name=NAME),
    "root, other name": choose(root=b"{}", name="other.csv"),
}


@pytest.mark.parametrize(
    ("taken_by", "signature", "suffices_for"),
    [
        ("none", None, "none"),
        ("digest", None, "none, digest"),
        ("one", _signed(), "none, one, either"),
        ("either", _signed(key=TWO), "none, two, either"),
        ("either", _signed() + _signed(key=TWO), "none, one, two, either, both"),
        ("root", None, "none, root"),
    ],
)
def test_what_was_shown_for_a_list_suffices_for_the_rules_that_would_have_taken_it(
    taken_by: str, signature: bytes | None, suffices_for: str
) -> None:
    evidence = _verify(RULES[taken_by], signature=signature).evidence
    assert ", ".join(name for name, one in RULES.items() if one.suffices(evidence)) == suffices_for


# ── Settings ─────────────────────────────────────────────────────────────────────────────────


def test_a_feed_without_a_rule_is_unsigned() -> None:
    assert _verify(choose()).by == "unsigned"


def test_a_feed_has_the_rule_that_its_settings_ask_for() -> None:
    pinned = choose(sha256=hashlib.sha256(CONTENT).hexdigest())
    signed = choose(public_keys=[_told(ONE)], name=NAME)
    assert _verify(pinned).by == "pinned sha256"
    assert _verify(signed, signature=_signed()).by.startswith("ed25519 key")
    assert re.fullmatch("TUF root [0-9a-f]{12}", _verify(choose(root=b"{}")).by)


def test_a_rule_that_names_nobody_is_no_leave_to_take_a_list_unsigned() -> None:
    with pytest.raises(ConfigError, match="public_keys"):
        choose(public_keys=[])
    with pytest.raises(ConfigError, match="sha256"):
        choose(sha256="")


def test_a_feed_with_two_rules_is_an_error() -> None:
    with pytest.raises(ConfigError, match="a feed has one of them"):
        choose(sha256="00" * 32, public_keys=[MINISIGN_KEY])


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # an extra

    made: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made


def test_a_key_opens_with_its_passphrase_only() -> None:
    made = make_key(b"correct horse")
    assert b"ENCRYPTED" in made
    load_key(made, source="a.pem", passphrase=b"correct horse")
    with pytest.raises(ConfigError, match=r"a\.pem: the key is encrypted"):
        load_key(made, source="a.pem")
    with pytest.raises(ConfigError, match=r"a\.pem: another passphrase"):
        load_key(made, source="a.pem", passphrase=b"battery staple")


def test_a_key_in_the_clear_needs_no_passphrase_and_bears_one() -> None:
    made = make_key()
    plain, asked = (load_key(made, source="a.pem", passphrase=one) for one in (None, b"any"))
    assert PublicKey.of(plain) == PublicKey.of(asked)


@pytest.mark.parametrize("data", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_what_is_no_key_is_told(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"a\.pem: no key in PEM"):
        load_key(data, source="a.pem")


def test_a_key_of_another_kind_is_told() -> None:
    from cryptography.hazmat.primitives.asymmetric import x25519  # noqa: PLC0415  # an extra

    with pytest.raises(ConfigError, match="allowed: Ed25519"):
        load_key(_pem(x25519.X25519PrivateKey.generate()), source="a.pem")


def test_a_name_that_would_break_the_line_cannot_be_signed() -> None:
    for name in ("", "a\nb", "a\tfile:b"):
        with pytest.raises(ConfigError, match="printable"):
            sign(io.BytesIO(CONTENT), ONE, name=name, at=AT)
