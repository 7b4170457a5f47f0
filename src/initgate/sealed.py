"""Files encrypted at rest, in chunks that cannot be changed, cut off, left out or swapped.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) over AES-256-GCM: a chunk's
nonce is its number and whether it is the last one. Each file has a key of its own, derived by
HKDF-SHA-256 from the given one and a random salt, so that no nonce is ever used twice.

::

    magic, 8 bytes | salt, 32 bytes | chunks of 1 MiB and 16 bytes, the last one shorter or as long
"""

from __future__ import annotations

import io
import mmap
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from typing_extensions import Buffer, override

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
    chunks = _Chunks(file, key, source=source)
    if not chunks.size:
        raise _changed(source)
    opened = mmap.mmap(-1, chunks.size)
    if hasattr(mmap, "MADV_DONTDUMP"):
        opened.madvise(mmap.MADV_DONTDUMP)
    try:
        for number in range(chunks.number):
            opened.write(chunks.read(number))
    except ListRejected:
        opened.close()
        raise
    opened.seek(0)
    return opened


def is_sealed(path: Path) -> bool:
    """Whether a file begins as a sealed one does.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def write(file: BinaryIO, out: BinaryIO, key: bytes | None) -> None:
    """Copies a file, and seals the copy if there is a key: :func:`seal`."""
    if key is None:
        shutil.copyfileobj(file, out)
    else:
        seal(file, out, key)


def opened(file: BinaryIO, key: bytes | None, *, source: str) -> BinaryIO:
    """What :func:`write` copied: the file itself, or one that decrypts it where it is read.

    Raises:
        ListRejected: It is sealed and there is no key; or see :func:`unseal`, also when it is read.
    """
    if key is not None:
        return io.BufferedReader(_Opened(_Chunks(file, key, source=source)))
    if file.read(len(MAGIC)) == MAGIC:
        raise ListRejected("it is encrypted: set key in [store]", source=source)
    file.seek(0)
    return file


class _Chunks:
    """The pieces of a sealed file."""

    def __init__(self, file: BinaryIO, key: bytes, *, source: str) -> None:
        length = file.seek(0, os.SEEK_END) - _HEADER_BYTES
        file.seek(0)
        header = file.read(_HEADER_BYTES)
        if not header.startswith(MAGIC):
            raise ListRejected(
                "not encrypted, though [store] has a key: fetch the list anew", source=source
            )
        whole, rest = divmod(length, _CHUNK_BYTES + _TAG_BYTES)
        if length <= 0 or 0 < rest < _TAG_BYTES:
            raise _changed(source)
        self.number = whole + bool(rest)
        self.size = length - self.number * _TAG_BYTES
        self._file = file
        self._cipher = _cipher(key, header[len(MAGIC) :])
        self._source = source

    def read(self, number: int) -> bytes:
        """Decrypts one."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # an extra

        self._file.seek(_HEADER_BYTES + number * (_CHUNK_BYTES + _TAG_BYTES))
        data = self._file.read(_CHUNK_BYTES + _TAG_BYTES)
        nonce = _nonce(number, is_last=number == self.number - 1)
        try:
            return self._cipher.decrypt(nonce, data, MAGIC)
        except (InvalidTag, ValueError) as error:  # the latter if it was cut off meanwhile
            raise _changed(self._source) from error


class _Opened(io.RawIOBase):
    """A sealed file as it was before; of its pieces one is held."""

    def __init__(self, chunks: _Chunks) -> None:
        super().__init__()
        self._chunks = chunks
        self._at = 0
        self._held: tuple[int, bytes] = (-1, b"")

    @override
    def readable(self) -> bool:
        return True

    @override
    def seekable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        number, start = divmod(self._at, _CHUNK_BYTES)
        if number != self._held[0] and (not self._at or self._at < self._chunks.size):
            self._held = number, self._chunks.read(number)
        view = memoryview(buffer).cast("B")
        data = self._held[1][start : start + len(view)] if number == self._held[0] else b""
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    @override
    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._chunks.size}[whence]
        self._at = max(origin + offset, 0)
        return self._at


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
        "with ([store] key), or fetch the list anew",
        source=source,
    )
