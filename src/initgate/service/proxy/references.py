"""Pictures that a request names by a URL: fetched once, here, and their bytes take its place.

So the server fetches nothing that was not checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection

import httpx

_CHUNK = 1 << 16
# IPv4 behind IPv6, also private ones, by translation (RFC 6052, 8215) and of old (RFC 4291).
_TRANSLATED = [ipaddress.ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")]

Resolve = Callable[[str], Awaitable[list[str]]]


class Unfetched(Exception):
    """A URL's bytes were not had. The message is for the operator and does not hold the URL."""


class Fetcher:
    """Fetches pictures from a few hosts.

    Args:
        hosts: Whom to ask. No other.
        max_bytes: A longer answer is none.
        timeout_s: For all of it.
        client: Follows no redirects. It is handed in for tests.
        resolve: Host to addresses.
    """

    def __init__(
        self,
        hosts: Collection[str],
        *,
        max_bytes: int,
        timeout_s: float = 20.0,
        client: httpx.AsyncClient | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._client = client or httpx.AsyncClient(trust_env=False, follow_redirects=False)
        self._resolve = resolve or _resolve

    async def fetch(self, url: str) -> bytes:
        """The bytes behind a URL.

        Raises:
            Unfetched: It leads elsewhere than to an allowed host, or nothing came in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._fetch(url.strip())
        except (httpx.HTTPError, OSError, UnicodeError) as error:  # a timeout is an OSError
            raise Unfetched(f"the fetch failed: {type(error).__name__}") from error

    async def _fetch(self, url: str) -> bytes:
        try:
            asked = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise Unfetched("no URL") from error
        if asked.scheme != "https" or asked.port not in {None, 443} or asked.userinfo:
            raise Unfetched("not plain https")
        if asked.host.lower() not in self._hosts:
            raise Unfetched("a host that fetch_from does not name")
        addresses = await self._resolve(asked.host)
        if not addresses or not all(map(_is_public, addresses)):
            raise Unfetched("a host with a private address")
        # To the address that was looked at: asked a second time, a name may lead elsewhere.
        request = httpx.Request(
            "GET",
            asked.copy_with(host=addresses[0]),
            headers={"Host": asked.host, "Accept-Encoding": "identity"},
            extensions={"sni_hostname": asked.host},
        )
        response = await self._client.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                raise Unfetched(f"the host answered {response.status_code}")
            return await self._collect(response)
        finally:
            await response.aclose()

    async def _collect(self, response: httpx.Response) -> bytes:
        data = bytearray()
        async for chunk in response.aiter_raw(_CHUNK):
            data += chunk
            if len(data) > self._max_bytes:
                raise Unfetched(f"more than {self._max_bytes} bytes")
        return bytes(data)

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()


def _is_public(address: str) -> bool:
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address) and (
        one.ipv4_mapped
        or one.sixtofour
        or one.teredo
        or one.is_site_local
        or any(one in net for net in _TRANSLATED)
    ):
        return False
    return one.is_global and not one.is_multicast


async def _resolve(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]
