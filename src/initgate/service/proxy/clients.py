"""Whose refusals are counted together. No I/O."""

from __future__ import annotations

import hashlib
import ipaddress

from initgate.service.proxy.core import Headers

_IPV6_BITS = 64  # of a network that one client usually has to itself (RFC 6177)


def name_client(headers: Headers, address: str, *, told_by: str | None) -> tuple[str, str]:
    """Who asks, in few bytes.

    Args:
        headers: The request's.
        address: From which it came; empty if there is none.
        told_by: The header that tells clients apart: a key, or what a trusted peer has put there.
            Of several values the last counts, which is the nearest peer's. None to go by address.
    """
    said = [value for name, value in headers if told_by and name == told_by.lower()]
    if said and (last := said[-1].rpartition(",")[2].strip()):
        return "header", hashlib.sha256(last.encode()).hexdigest()  # keys are not kept
    return "address", _name_network(address)


def _name_network(address: str) -> str:
    """An address, or the network of one of which a client has many."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped is not None:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((int(known), _IPV6_BITS), strict=False))
    return str(known)
