"""Door 2. What was fetched becomes a list only if somebody vouches for it. No I/O, no clock.

A list never goes back a version, and one that should be signed is never taken unsigned. Signatures
are minisign's (https://jedisct1.github.io/minisign/): Ed25519 over the BLAKE2b-512 of a file, and
over a comment that tells when it was signed and under which name.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, BinaryIO, Protocol

from initgate.errors import ConfigError, ListRejected

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SUFFIX = ".minisig"
"""Of the file beside a list that holds its signatures."""

_AT_ONCE = 1 << 20  # bytes
_AHEAD = timedelta(minutes=10)  # by which a curator's clock may be
_MAX_BYTES = 1 << 16  # of signatures
_LINES = 4  # of a signature
_KEY_ID, _KEY, _SIGNATURE = 8, 32, 64  # bytes
_OF_KEY, _OF_PREHASHED, _OF_WHOLE = b"Ed", b"ED", b"Ed"
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who vouches for a list.

    Args:
        by: For status and audit, such as ``ed25519 key 8E1A…`` or ``unsigned``.
        at: When they did, as they say. The next version must not be older.
        evidence: What was shown for it, to be held against a rule that is set later.
    """

    by: str
    at: datetime | None = None
    evidence: frozenset[str] = frozenset()


class Trust(Protocol):
    """Decides whether what was fetched may become a list."""

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
        now: datetime | None = None,
    ) -> Vouched:
        """Reads all pages and rewinds them.

        Args:
            pages: What was fetched.
            signature: What lay beside it.
            source: For error messages.
            newest: :attr:`Vouched.at` of the version that was taken last.
            now: The present.

        Raises:
            ListRejected: Nobody vouches for it, or it is older than what was taken last.
        """

    def suffices(self, evidence: frozenset[str]) -> bool:
        """Whether what was shown for a version when it was taken is enough for this rule.

        Args:
            evidence: :attr:`Vouched.evidence`.
        """


@dataclass(frozen=True, slots=True)
class Anyone:
    """Nothing is configured: whoever can write to the source decides what the list holds."""

    by: str = "unsigned"

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
        now: datetime | None = None,
    ) -> Vouched:
        """Takes it. See :meth:`Trust.verify`."""
        del pages, signature, source, newest, now
        return Vouched(self.by)

    def suffices(self, evidence: frozenset[str]) -> bool:
        """It does: nothing is asked for. See :meth:`Trust.suffices`."""
        del evidence
        return True


class Published:
    """Verified where it came from: a TUF repository, by :mod:`initgate.sources.tuf`.

    Args:
        root: The keys that are trusted: the content of root.json.
        name: The list's in the repository.
    """

    def __init__(self, root: bytes, *, name: str = "") -> None:
        digest = hashlib.sha256(root).hexdigest()
        self._by = f"TUF root {digest[:12]}"
        self._evidence = frozenset({f"tuf:{digest}:{name}"})

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
        now: datetime | None = None,
    ) -> Vouched:
        """Takes it. See :meth:`Trust.verify`."""
        del pages, signature, source, newest, now
        return Vouched(self._by, evidence=self._evidence)

    def suffices(self, evidence: frozenset[str]) -> bool:
        """If it was this list by this root. See :meth:`Trust.suffices`."""
        return self._evidence <= evidence


class Pinned:
    """One version and no other.

    Args:
        sha256: Of the file, 64 hexadecimal digits in either case.

    Raises:
        ConfigError: It is no such digest.
    """

    def __init__(self, sha256: str) -> None:
        try:
            self._sha256 = bytes.fromhex(sha256)
        except ValueError:
            self._sha256 = b""
        if len(self._sha256) != hashlib.sha256().digest_size:
            raise ConfigError(f"sha256: {sha256!r}; allowed: 64 hexadecimal digits")
        self._evidence = frozenset({f"sha256:{self._sha256.hex()}"})

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
        now: datetime | None = None,
    ) -> Vouched:
        """Compares the digest. See :meth:`Trust.verify`."""
        del signature, newest, now
        found = _hashed(_only(pages, source), "sha256")
        if found != self._sha256:
            raise ListRejected(
                f"its SHA-256 is {found.hex()}, but {self._sha256.hex()} is pinned; "
                "if the new version is meant, change sha256 in the configuration",
                source=source,
            )
        return Vouched("pinned sha256", evidence=self._evidence)

    def suffices(self, evidence: frozenset[str]) -> bool:
        """If it was this digest. See :meth:`Trust.suffices`."""
        return self._evidence <= evidence


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whose signatures count.

    Args:
        key_id: By which a signature names its key, 8 bytes.
        key: Ed25519, 32 bytes.
    """

    key_id: bytes
    key: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Reads a key as minisign writes it: 56 characters, ``RW`` first.

        Raises:
            ConfigError: It is none.
        """
        try:
            data = base64.b64decode(text.strip(), validate=True)
        except (binascii.Error, ValueError):
            data = b""
        if len(data) != len(_OF_KEY) + _KEY_ID + _KEY or not data.startswith(_OF_KEY):
            raise ConfigError(
                f"public_keys: {text!r}; allowed: the 56 characters, RW first, that initgate lists "
                "keygen prints (minisign, too)"
            )
        return cls(data[2 : 2 + _KEY_ID], data[2 + _KEY_ID :])

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> PublicKey:
        """The public half of a key. Its id is the beginning of its SHA-256."""
        key = private.public_key().public_bytes_raw()
        return cls(hashlib.sha256(key).digest()[:_KEY_ID], key)

    @property
    def name(self) -> str:
        """The id as minisign prints it."""
        return _told(self.key_id)

    def __str__(self) -> str:
        return base64.b64encode(_OF_KEY + self.key_id + self.key).decode()


class Signed:
    """Files with a signature beside them, by minisign or ``initgate lists sign``.

    Args:
        public_keys: Whose signatures count.
        at_least: How many of them must have signed the same file.
        name: Under which it must have been signed, so that another list signed with the same key
            cannot stand in for it. Default: any.

    Raises:
        ConfigError: A key is none, or there are fewer than must have signed.
    """

    def __init__(self, public_keys: Iterable[str], *, at_least: int = 1, name: str = "") -> None:
        self._keys = {PublicKey.parse(one) for one in public_keys}
        self._at_least = at_least
        self._name = name
        if not 1 <= at_least <= len({one.key for one in self._keys}):
            raise ConfigError(
                f"public_keys: {len(self._keys)} different ones, of which {at_least} must have "
                "signed; allowed: 1 to as many as there are"
            )

    def verify(
        self,
        pages: Sequence[BinaryIO],
        signature: bytes | None,
        *,
        source: str,
        newest: datetime | None = None,
        now: datetime | None = None,
    ) -> Vouched:
        """Checks every signature by a known key; one that is wrong spoils all. See :class:`Trust`.

        Raises:
            ConfigError: The extra is missing.
            ListRejected: Too few signed it, a signature is of another file or name, or it was
                signed before the version that was taken last, or in the future.
        """
        needs_cryptography()
        file = _only(pages, source)
        if not signature:
            raise ListRejected(
                f"no signature lies beside it ({SUFFIX}), and it must be signed: have its curator "
                "run initgate lists sign",
                source=source,
            )
        digest = _hashed(file, "blake2b")
        others, times = [], dict[bytes, datetime]()
        names, evidence = set[str](), set[str]()
        for one in _parse(signature, source):
            for key in (known := [key for key in self._keys if key.key_id == one.key_id]):
                one.verify(key, digest, source=source)
                if self._name and one.told.get("file") != self._name:
                    raise ListRejected(
                        f"it was signed as {one.told.get('file', 'no file')!r}, not as "
                        f"{self._name!r}: sign it under that name, or set target to the other",
                        source=source,
                    )
                # By the key itself: ids are given at will, and one key is one curator.
                times[key.key] = max(one.at(source), times.get(key.key, one.at(source)))
                names.add(key.name)
                evidence.add(f"ed25519:{key.key.hex()}:{one.told.get('file', '')}")
            if not known:
                others.append(_told(one.key_id))
        if len(times) < self._at_least:
            by = f" (others: {', '.join(others)})" if others else ""
            raise ListRejected(
                f"signed by {len(times)} of public_keys{by}; {self._at_least} must have signed it",
                source=source,
            )
        # By then as many as are asked for had signed.
        at = sorted(times.values(), reverse=True)[self._at_least - 1]
        if newest is not None and at < newest:
            raise ListRejected(
                f"it was signed at {at.isoformat()}, before the version that is served "
                f"({newest.isoformat()}): somebody offers an old one, or sign it anew",
                source=source,
            )
        if now is not None and at > now + _AHEAD:
            raise ListRejected(
                f"it was signed at {at.isoformat()}, which is yet to come: all signed before then "
                "would be kept out; set the clock of whoever signs, and sign it anew",
                source=source,
            )
        return Vouched(f"ed25519 key {', '.join(sorted(names))}", at, frozenset(evidence))

    def suffices(self, evidence: frozenset[str]) -> bool:
        """If enough of these keys signed it, under this name. See :meth:`Trust.suffices`."""
        ours = {one.key.hex() for one in self._keys}
        told = (one.split(":", 2) for one in evidence if one.startswith("ed25519:"))
        return (
            len({key for _, key, name in told if key in ours and self._name in {"", name}})
            >= self._at_least
        )


@dataclass(frozen=True, slots=True)
class _Signature:
    """A signature of a file and of a comment."""

    algorithm: bytes
    key_id: bytes
    of_file: bytes
    comment: str
    of_comment: bytes

    @property
    def told(self) -> Mapping[str, str]:
        """What the comment says: ``timestamp:…``, ``file:…``, between tabs."""
        parts = (part.partition(":") for part in self.comment.split("\t"))
        return {name: value for name, colon, value in parts if colon}

    def at(self, source: str) -> datetime:
        """When it was made."""
        try:
            return datetime.fromtimestamp(int(self.told["timestamp"]), UTC)
        except (KeyError, ValueError, OverflowError, OSError) as error:
            raise ListRejected(
                "its signature does not tell when it was made: sign it without a trusted comment "
                "of your own",
                source=source,
            ) from error

    def verify(self, key: PublicKey, digest: bytes, *, source: str) -> None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  # an extra
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
            Ed25519PublicKey,
        )

        public = Ed25519PublicKey.from_public_bytes(key.key)
        if self.algorithm != _OF_PREHASHED:
            raise ListRejected(
                "its signature is of minisign's old kind; sign it by minisign without -l, "
                "or with -H if it is old",
                source=source,
            )
        try:
            public.verify(self.of_file, digest)
        except InvalidSignature as error:
            raise ListRejected(
                f"the signature by key {key.name} is of another file: it was changed after "
                "signing, or the signature belongs to another version",
                source=source,
            ) from error
        try:
            public.verify(self.of_comment, self.of_file + self.comment.encode())
        except InvalidSignature as error:
            raise ListRejected(
                f"the comment beside the signature by key {key.name} was changed", source=source
            ) from error


def choose(
    *,
    sha256: str | None = None,
    public_keys: Sequence[str] | None = None,
    at_least: int = 1,
    name: str = "",
    root: bytes | None = None,
) -> Trust:
    """The rule that a feed's settings ask for; :class:`Anyone` only if all are None.

    Args:
        sha256: See :class:`Pinned`.
        public_keys: See :class:`Signed`.
        at_least: See there.
        name: See there.
        root: See :class:`Published`; the source must be a repository.

    Raises:
        ConfigError: They ask for two, or one of them is wrong.
    """
    asked: list[Trust] = []
    if sha256 is not None:
        asked.append(Pinned(sha256))
    if public_keys is not None:
        asked.append(Signed(public_keys, at_least=at_least, name=name))
    if root is not None:
        asked.append(Published(root, name=name))
    if len(asked) > 1:
        raise ConfigError("sha256, public_keys and root: a feed has one of them")
    return asked[0] if asked else Anyone()


def sign(file: BinaryIO, key: Ed25519PrivateKey, *, name: str, at: datetime) -> bytes:
    """A signature to lie beside a file; several may stand one after the other.

    Args:
        file: At its start.
        key: From :func:`load_key`.
        name: Of the file, for those who fetch it.
        at: When: the next version's must be later.

    Raises:
        ConfigError: The name does not fit on the comment's line.
    """
    if not name or not name.isprintable():
        raise ConfigError(f"{name!r}: a file that is signed needs a name of printable characters")
    public = PublicKey.of(key)
    of_file = key.sign(_hashed(file, "blake2b"))
    comment = f"timestamp:{int(at.timestamp())}\tfile:{name}\thashed"
    lines = (
        f"{_UNTRUSTED}signature by key {public.name}",
        base64.b64encode(_OF_PREHASHED + public.key_id + of_file).decode(),
        f"{_TRUSTED}{comment}",
        base64.b64encode(key.sign(of_file + comment.encode())).decode(),
    )
    return "".join(f"{line}\n" for line in lines).encode()


def make_key(passphrase: bytes | None = None) -> bytes:
    """A new Ed25519 key in PEM (PKCS#8), as OpenSSL writes and reads it.

    Args:
        passphrase: What it is encrypted with. Default: not at all.
    """
    needs_cryptography()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # an extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )


def load_key(data: bytes, *, source: str, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Reads a key that :func:`make_key` or OpenSSL made.

    Args:
        data: The file.
        source: For error messages.
        passphrase: What it is encrypted with.

    Raises:
        ConfigError: It is no such key, or the passphrase is missing or wrong.
    """
    needs_cryptography()
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415  # an extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PrivateKey,
    )

    # OpenSSL would ask on the terminal for a passphrase that is missing, and refuses one too many.
    is_encrypted = b"ENCRYPTED" in data
    if is_encrypted and not passphrase:
        raise ConfigError(f"{source}: the key is encrypted; tell where its passphrase is")
    try:
        key = serialization.load_pem_private_key(data, passphrase if is_encrypted else None)
    except (ValueError, TypeError) as error:
        why = "another passphrase, or it is damaged" if is_encrypted else "no key in PEM"
        raise ConfigError(f"{source}: {why}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{source}: a key of another kind; allowed: Ed25519")
    return key


def needs_cryptography() -> None:
    """Looks for what signatures are checked and made with.

    Raises:
        ConfigError: The extra is missing.
    """
    try:
        import cryptography  # noqa: F401, PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise ConfigError("signatures need cryptography: pip install 'initgate[trust]'") from error


def _only(pages: Sequence[BinaryIO], source: str) -> BinaryIO:
    if len(pages) != 1:
        raise ListRejected(
            f"it comes in {len(pages)} pieces; a digest or signature is of one file", source=source
        )
    return pages[0]


def _hashed(file: BinaryIO, algorithm: str) -> bytes:
    made = hashlib.new(algorithm)
    file.seek(0)
    while read := file.read(_AT_ONCE):
        made.update(read)
    file.seek(0)
    return made.digest()


def _parse(data: bytes, source: str) -> Iterator[_Signature]:
    """The signatures in a file, four lines each."""
    malformed = ListRejected(f"what lies beside it ({SUFFIX}) is no signature", source=source)
    try:
        lines = [line for line in data.decode().replace("\r\n", "\n").split("\n") if line]
    except UnicodeDecodeError as error:
        raise malformed from error
    if len(data) > _MAX_BYTES or not lines or len(lines) % _LINES:
        raise malformed
    for start in range(0, len(lines), _LINES):
        untrusted, of_file, trusted, of_comment = lines[start : start + _LINES]
        if not untrusted.startswith(_UNTRUSTED.rstrip()) or not trusted.startswith(_TRUSTED):
            raise malformed
        try:
            head = base64.b64decode(of_file, validate=True)
            tail = base64.b64decode(of_comment, validate=True)
        except (binascii.Error, ValueError) as error:
            raise malformed from error
        if len(head) != 2 + _KEY_ID + _SIGNATURE or len(tail) != _SIGNATURE:
            raise malformed
        if head[:2] not in {_OF_PREHASHED, _OF_WHOLE}:
            raise malformed
        yield _Signature(head[:2], head[2:10], head[10:], trusted.removeprefix(_TRUSTED), tail)


def _told(key_id: bytes) -> str:
    return f"{int.from_bytes(key_id, 'little'):016X}"
