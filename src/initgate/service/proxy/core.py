"""What to do with a request: which pictures to check, and what to forward or answer then. No I/O.

::

    plan = read_request(request, dialect, bounds=…, known=…)    Plan, or Unparsable
    verdicts, of all that plan.images holds
    conclude(plan, …)                                           the request to forward
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from typing import TypeAlias
from urllib.parse import unquote

from initgate.model import Allowed, Verdict
from initgate.service.proxy import found
from initgate.service.proxy.found import Body, Bounds, Document, Node, Where
from initgate.service.proxy.names import URL, is_path
from initgate.service.proxy.texts import Carried, Spelling, Unparsable

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Names in lower case."""

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

ANSWER = "ANSWER"
"""Stands for the method of what a server answers, where that is read like a request."""

_WITHOUT_BODY = {"GET", "HEAD", "OPTIONS"}
_REPLACED = {"content-length", "content-type", "content-encoding", "transfer-encoding", "expect"}
_CONNECTION = "connection"  # names headers that are for this proxy alone (RFC 9110, 7.6.1)
_SINGLE = ("content-type", "content-encoding", "content-length", "transfer-encoding", "host")
_SEPARATOR = "\x1f"  # of keys, where places are compared
_ODD_PATH = re.compile(r"//|\\|(?:^|/)\.{1,2}(?:/|$)|[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Request:
    """What came, or what is forwarded.

    Args:
        method: In upper case; ``"WS"`` for a socket's message, and :data:`ANSWER`.
        path: As it was sent, percent-encoded.
        query: What stands after the question mark, as it was sent.
        headers: All of them.
        body: All of it.
    """

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        """A header's value; empty if it is not there."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered in the server's stead."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Reference:
    """A text in place of a picture that stands elsewhere.

    Args:
        where: The place.
        text: The URL, path or id.
    """

    where: Where
    text: str

    @property
    def is_url(self) -> bool:
        """Whether it could be fetched."""
        return bool(re.match(r"\s*https?:", self.text, re.IGNORECASE))


class Sign(Enum):
    """What a dialect's rule finds beside the places of its route."""

    REFERENCE = "reference"
    """The text names a picture that stands elsewhere."""

    OPAQUE = "opaque"
    """Latents and the like stand there."""

    DROP = "drop"
    """The text is left out: what it names stands beside it, checked."""

    WORDS = "words"
    """The text names nothing, though it stands where a picture may."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a rule says of a place.

    Args:
        where: The place.
        sign: What stands there.
        known_as: The id that a reference would be known by.
    """

    where: Where
    sign: Sign
    known_as: str = ""


@dataclass(frozen=True, slots=True)
class Jobs:
    """A route by whose answers a server hands pictures of others to who asks.

    The answers are read like requests, by the dialect's route for :data:`ANSWER`. One that does
    not pass is given back.

    Args:
        give_back: (the request, the answer, whether a picture in it is listed) → what is sent to
            the server.
        none: The answer to who asked, with the decision id; empty if nothing was decided.
    """

    give_back: Callable[[Request, bytes, bool], Iterable[Request]]
    none: Callable[[str], Response]


Rule: TypeAlias = Callable[[Node], Iterable[Hint]]
Learn: TypeAlias = Callable[[Request, bytes], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Route:
    """A route of a server that takes pictures.

    Args:
        path: How the decoded path ends: a regular expression.
        methods: Which it is for.
        images: Places that take a picture: whatever else stands there is a reference. A place is
            keys joined by dots; ``*`` is any one key, ``**`` any number of them.
        references: Places that name a picture which stands elsewhere.
        rule: What the places cannot tell.
        learn: Ids that the answer gives to the pictures in the request. It is asked only if there
            are some, and no other files beside them.
        jobs: What is done with answers that bring pictures; None where they bring none.
        may_hold_urls: Whether texts that are URLs say nothing of pictures.
    """

    path: str
    methods: Collection[str] = ("POST",)
    images: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    rule: Rule | None = None
    learn: Learn | None = None
    jobs: Jobs | None = None
    may_hold_urls: bool = False


# Nobody has said what such a route does; these places name files in many APIs.
_UNKNOWN = Route(path="", references=("**.file_id", "**.file_ids", "**.file_ids.*"))

Refuse: TypeAlias = Callable[[str, str], Response]
"""(message, decision id) → the refusal in the server's own shape."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a server takes pictures, and how it says no.

    Args:
        name: By which the operator chooses it.
        routes: The first that fits counts. A route that is not among them is forwarded if it
            carries nothing that looks like a picture.
        refuse: A refusal that its clients show, with the decision id, and do not send again.
        takes_unknown: Whether pictures may come on other routes too, and be forwarded if they pass.
        takes_data_urls: Whether a picture may stand in a data URL; if not, bare base64 is
            forwarded in the place of a URL that was resolved.
    """

    name: str
    refuse: Refuse
    routes: tuple[Route, ...] = ()
    takes_unknown: bool = False
    takes_data_urls: bool = True

    def route(self, method: str, path: str) -> Route | None:
        """The route that a request takes."""
        for one in self.routes:
            if method in one.methods and re.search(rf"(?:{one.path})/?\Z", path):
                return one
        return None


@dataclass(frozen=True, slots=True)
class Plan:
    """What must be done before a request may be forwarded.

    Args:
        request: As it came.
        body: What was read in it.
        route: Which it takes; without what learns, if there is nothing to be learnt.
        images: To be checked, each by its place.
        references: To be resolved, or the request is refused.
        opaque: Places and kinds of what is neither picture nor text.
        changes: What is left out in any case.
    """

    request: Request
    body: Body
    route: Route
    images: Mapping[Where, Carried] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    opaque: tuple[tuple[Where, str], ...] = ()
    changes: Mapping[Where, Node] = field(default_factory=dict)


def read_request(
    request: Request, dialect: Dialect, *, bounds: Bounds, known: Callable[[str], bool]
) -> Plan:
    """Finds everything in a request that may be a picture, or name one.

    Args:
        request: As it came.
        dialect: The server's.
        bounds: What it may cost.
        known: Whether an id was given to a picture that was checked.

    Raises:
        Unparsable: Two parsers could read it in two ways.
    """
    path = _read_path(request)
    route = dialect.route(request.method, path)
    may_name = (route is not None or dialect.takes_unknown) and not (route and route.may_hold_urls)
    _read_outside(request, bounds, may_name=may_name)
    body = found.read(
        request.body,
        content_type=request.header("content-type"),
        encoding=request.header("content-encoding"),
        bounds=bounds,
    )
    taken = route or _UNKNOWN
    images, opaque, named = _sort(body.root, taken)
    if images and route is None and not dialect.takes_unknown:
        raise Unparsable(f"an image on a route that the dialect {dialect.name} does not know")
    references = {where: Reference(where, text) for where, text in named.items() if not known(text)}
    if not ((images or len(references) < len(named)) and _are_pictures(body.root, taken)):
        taken = replace(taken, learn=None)
    hints = list(taken.rule(body.root)) if taken.rule else []
    texts = dict(found.walk(body.root)) if hints else {}
    for hint in hints:
        references.pop(hint.where, None)  # a rule knows better
        if hint.sign is Sign.OPAQUE:
            opaque[hint.where] = "latents"
        elif hint.sign is Sign.REFERENCE and not known(hint.known_as):
            references[hint.where] = Reference(hint.where, str(texts.get(hint.where)))
    if len(images) + len(references) > bounds.max_images:
        raise Unparsable(f"more than {bounds.max_images} images and references")
    return Plan(
        request=request,
        body=body,
        route=taken,
        images=images,
        references=tuple(references.values()),
        opaque=tuple(opaque.items()),
        changes={hint.where: None for hint in hints if hint.sign is Sign.DROP},
    )


def _sort(
    root: Node, route: Route
) -> tuple[dict[Where, Carried], dict[Where, str], dict[Where, str]]:
    """The pictures, what is opaque, and the texts that name pictures."""
    images: dict[Where, Carried] = {}
    opaque: dict[Where, str] = {}
    named: dict[Where, str] = {}
    for where, node in found.walk(root):
        match node:
            case Carried(is_image=is_image) if is_image or _is_place(where, route):
                images[where] = node  # where a picture belongs, anything is taken for one
            case Carried(kind=kind):
                opaque[where] = kind
            case str() if _is_reference(node, where, route):
                named[where] = node
            case Document(text=str(text), leads=leads) if leads and _is_named(where, route):
                named[where] = text  # several values are no text of which a place is known
            case _:
                pass
    return images, opaque, named


def _read_path(request: Request) -> str:
    path = unquote(request.path)
    if "#" in request.path + request.query:  # what follows is no part of a request's target
        raise Unparsable("a fragment in the path or query")
    if request.method not in _WITHOUT_BODY and _ODD_PATH.search(path):
        raise Unparsable("a path that servers read in different ways")
    for name in _SINGLE:
        if sum(key == name for key, _ in request.headers) > 1:
            raise Unparsable(f"the header {name} twice")
    return path


def _read_outside(request: Request, bounds: Bounds, *, may_name: bool) -> None:
    """A picture in the path, the query or a header is nothing that a client does."""
    texts = [*unquote(request.path).split("/"), *(value for _, value in request.headers)]
    asked = [one.value for one in found.read_query(request.query, bounds=bounds).fields]
    for root in [*(found.read_text(text, bounds=bounds) for text in texts), *asked]:
        if any(isinstance(one, Carried) and one.is_image for _, one in found.walk(root)):
            raise Unparsable("an image in the path, the query or a header")
    if may_name and any(isinstance(one, str) and URL.fullmatch(one) for one in asked):
        raise Unparsable("a URL in the query, which may name an image")


def _are_pictures(root: Node, route: Route) -> bool:
    """Whether all files are pictures, so that the answer's ids are ids of pictures."""
    return all(
        isinstance(one.value, Carried) and (one.value.is_image or _is_place(where, route))
        for where, one in found.fields(root)
        if one.filename is not None or _is_place(where, route)
    )


def _is_reference(text: str, where: Where, route: Route) -> bool:
    if not text.strip():
        return False
    if _is_named(where, route):
        return True
    if route.may_hold_urls:
        return False
    return bool(URL.fullmatch(text) or (route is _UNKNOWN and is_path(text)))


def _is_named(where: Where, route: Route) -> bool:
    """Whether a text names a picture there."""
    return _fits(where, route.images) or _fits(where, route.references)


def _is_place(where: Where, route: Route) -> bool:
    """Whether a picture belongs there."""
    return _fits(where, route.images)


def _fits(where: Where, places: tuple[str, ...]) -> bool:
    """Whether a place is one of those that patterns name. Some servers do not mind the case."""
    return bool(places and _to_regex(places).fullmatch(_SEPARATOR.join(map(str, where))))


@cache
def _to_regex(places: tuple[str, ...]) -> re.Pattern[str]:
    one, many = f"[^{_SEPARATOR}]*", f"(?:.*{_SEPARATOR})?"
    written = []
    for place in places:
        keys = [one if key == "*" else re.escape(key) for key in place.split(".")]
        joined = _SEPARATOR.join(keys)
        written.append(joined.replace(re.escape("**") + _SEPARATOR, many))
    return re.compile("|".join(written), re.DOTALL | re.IGNORECASE)


def name_place(where: Where) -> str:
    """A place, for the operator. Only names of fields that are short, as a server's are."""
    keys = [str(key) for key in where]
    return (
        ".".join(key if re.fullmatch(r"[\w\[\] -]{1,40}", key) else "…" for key in keys) or "body"
    )


def conclude(
    plan: Plan,
    *,
    verdicts: Mapping[Where, Verdict],
    resolved: Mapping[Where, Carried],
    rewrite: Callable[[Carried], Carried],
) -> Request:
    """The request to forward: what was checked, written anew.

    Args:
        plan: What was found.
        verdicts: Of every image and of every resolved reference.
        resolved: What references turned out to be.
        rewrite: Gives a picture the form in which it is forwarded.

    Raises:
        ValueError: Something has no verdict, or was refused: it must not be forwarded.
    """
    wanted = {**plan.images, **resolved}
    unresolved = [one for one in plan.references if one.where not in resolved]
    if unresolved or any(not isinstance(verdicts.get(where), Allowed) for where in wanted):
        raise ValueError("not everything in the request was allowed")
    changes = {**plan.changes, **{where: rewrite(one) for where, one in wanted.items()}}
    request = replace(plan.request, headers=_without_hops(plan.request.headers))
    if not request.body:
        return request
    root = found.change(plan.body.root, changes)
    data, content_type = found.write(Body(root, plan.body.content_type))
    kept = tuple(one for one in request.headers if one[0] not in _REPLACED)
    typed = (("content-type", content_type),) if content_type else ()
    return Request(request.method, request.path, request.query, (*kept, *typed), data)


def _without_hops(headers: Headers) -> Headers:
    """Headers without those that a client calls the connection's, before ours are added."""
    said = [value for name, value in headers if name == _CONNECTION]
    named = {one.strip().lower() for value in said for one in value.split(",")}
    return tuple(one for one in headers if one[0] not in named | {_CONNECTION})


def resolved_as(data: bytes, kind: str, dialect: Dialect) -> Carried:
    """Fetched bytes as a client would have sent them in the place of a URL."""
    return Carried(data, kind, Spelling.BASE64, is_url=dialect.takes_data_urls)
