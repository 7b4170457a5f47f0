"""Exact digests of an input's bytes: what MD5, SHA-1 and SHA-256 lists hold."""

from __future__ import annotations

import hashlib

from initgate.model import Algorithm


def digest(data: bytes, algorithm: Algorithm) -> bytes:
    """The digest of ``data``. Identification, not security: MD5 and SHA-1 are what lists carry."""
    return hashlib.new(algorithm.value, data, usedforsecurity=False).digest()
