"""Who may call what. Keys are random, so that their SHA-256 is as good as a slow hash."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from initgate.config import KeySettings, Role
from initgate.service.problems import Problem

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Args:
        name: The key's name.
        roles: What it opens.
    """

    name: str
    roles: frozenset[Role]


class Keys:
    """The keys of a configuration.

    Args:
        keys: Their names, digests and roles.
        anonymous: Whether images may be checked without one.
    """

    def __init__(self, keys: Iterable[KeySettings], *, anonymous: bool = False) -> None:
        self._keys = [(bytes.fromhex(one.sha256), Caller(one.name, one.roles)) for one in keys]
        self._without = Caller(ANONYMOUS, frozenset({Role.CHECK})) if anonymous else None

    def find(self, authorization: str | None) -> Caller | None:
        """Whose key a header holds, in a time that does not depend on it.

        Args:
            authorization: The header, ``Bearer`` and the key; None if there is none.

        Returns:
            None for an unknown key, and for none at all where one is needed.
        """
        if authorization is None:
            return self._without
        scheme, _, key = authorization.partition(" ")
        digest = hashlib.sha256(key.strip().encode()).digest()
        found = [caller for known, caller in self._keys if hmac.compare_digest(known, digest)]
        return found[0] if found and scheme.lower() == "bearer" else None

    def admit(self, authorization: str | None, *roles: Role) -> Caller:
        """The caller, if its key opens any of some roles.

        Raises:
            Problem: 401 without a valid key, 403 with one that does not.
        """
        caller = self.find(authorization)
        if caller is None:
            raise Problem(401, "a valid key is needed: Authorization: Bearer KEY")
        if not caller.roles & {*roles}:
            raise Problem(403, f"this key has not the role {' or '.join(roles)}")
        return caller
