"""Files encrypted at rest, in chunks that cannot be changed, cut off, left out or swapped.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM: a chunk's
nonce is its number and whether it is the last one. Each file has a key of its own, derived by
HKDF-SHA-256 from the given one and a random salt, so that no nonce is ever used twice.

::

    magic, 8 bytes | salt, 32 bytes | chunks of 1 MiB and 16 bytes, the last one shorter or as long
"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, BinaryIO

from initgate.errors import ConfigError, ListRejected

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC = b"\x89IGS\r\n\x1a\n"
"""How a sealed file begins."""

KEY_BYTES = 32

_SALT_BYTES = 32
_CHUNK_BYTES = 1 << 20
_TAG_BYTES = 16
_HEADER_BYTES = len(MAGIC) + _SALT_BYTES


def parse_key(text: str, *, source: str) -> bytes:
    """A key as ``openssl rand -hex 32`` prints it.

    Args:
        text: 64 hexadecimal digits.
        source: Where it stands, for error messages, which do not tell the key.

    Raises:
        ConfigError: It is none.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{source}: no key; allowed: what openssl rand -hex 32 prints")
    return key


def seal(file: BinaryIO, out: BinaryIO, key: bytes) -> None:
    """Encrypts a file.

    Args:
        file: From where it stands to its end.
        out: Written to.
        key: 32 bytes.

    Raises:
        OSError: It cannot be read or written.
    """
    salt = os.urandom(_SALT_BYTES)
    cipher = _cipher(key, salt)
    out.write(MAGIC + salt)
    number, chunk = 0, file.read(_CHUNK_BYTES)
    while True:
        following = file.read(_CHUNK_BYTES)
        out.write(cipher.encrypt(_nonce(number, is_last=not following), chunk, MAGIC))
        if not following:
            return
        number, chunk = number + 1, following


def unseal(file: BinaryIO, key: bytes, *, source: str) -> mmap.mmap:
    """Decrypts a file into memory that is no file's, is shared by forks and in no core dump.

    Args:
        file: At its start. It must be seekable.
        key: 32 bytes.
        source: For error messages.

    Returns:
        The content, read-only to whoever does not write to it. It is at least a byte long.

    Raises:
        ListRejected: It is no sealed file, was changed or cut off, or sealed with another key.
        OSError: It cannot be read.
    """
    length = file.seek(0, os.SEEK_END) - _HEADER_BYTES
    file.seek(0)
    header = file.read(_HEADER_BYTES)
    if not header.startswith(MAGIC):
        raise ListRejected(
            "not encrypted, though [store] has a key: fetch the list anew", source=source
        )
    chunks = -(-length // (_CHUNK_BYTES + _TAG_BYTES))
    if length - chunks * _TAG_BYTES <= 0:
        raise _changed(source)
    opened = mmap.mmap(-1, length - chunks * _TAG_BYTES)
    if hasattr(mmap, "MADV_DONTDUMP"):
        opened.madvise(mmap.MADV_DONTDUMP)
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # an extra

    cipher = _cipher(key, header[len(MAGIC) :])
    for number in range(chunks):
        sealed = file.read(_CHUNK_BYTES + _TAG_BYTES)
        nonce = _nonce(number, is_last=number == chunks - 1)
        try:
            opened.write(cipher.decrypt(nonce, sealed, MAGIC))
        except (InvalidTag, ValueError) as error:  # the latter if it was cut off meanwhile
            opened.close()
            raise _changed(source) from error
    opened.seek(0)
    return opened


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415  # an extra
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError("encryption needs cryptography: pip install 'initgate[trust]'") from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"a key of {len(key)} bytes; allowed: {KEY_BYTES}")
    derived = HKDF(hashes.SHA256(), KEY_BYTES, salt=salt, info=b"initgate sealed file 1")
    return AESGCM(derived.derive(key))


def _changed(source: str) -> ListRejected:
    return ListRejected(
        "it was sealed with another key, or changed or cut off since: give the key it was sealed "
        "with, or fetch the list anew",
        source=source,
    )
