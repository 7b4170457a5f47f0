"""NCMEC's Hash Sharing version 2: the XML of an answer to ``/v2/entries``.

Images give their MD5, SHA-1 and PDQ; feedback on a hash is in its tags. Other hashes, and all of
videos, are told as unmatched. ``deletedImage`` withdraws. The identifier is that of the member who
shared the item and its own, as in the interface: ``42/image1``.

A document type is refused, entities with it. What is read is dropped at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, TypeAlias

from initgate.errors import ListRejected
from initgate.lists.feed import (
    MAX_RECORD_BYTES,
    BadRecord,
    Held,
    Record,
    Skipped,
    Withdrawn,
    code_of,
    held,
    label,
    needs,
    parsed,
    shown,
    tag,
    unmatched,
)
from initgate.model import Algorithm

Element: TypeAlias = Any  # lxml's, which ships no types

_CHUNK_BYTES = 1 << 16
_VERSION = "/v2"
_MATCHED = {"md5": Algorithm.MD5, "sha1": Algorithm.SHA1, "pdq": Algorithm.PDQ}
_GROUPS = {
    "images": frozenset({"image", "deletedImage"}),
    "videos": frozenset({"video", "deletedVideo"}),
}
_ITEM_DEPTH = 3  # queryResult, images, image


def read(file: BinaryIO, *, source: str, environment: str = "") -> Iterator[Record]:
    """Yields the records of a file.

    Args:
        file: Open for reading bytes.
        source: Where it came from, for error messages.
        environment: Which of NCMEC's databases it is, for a tag, as ``generative-ai-csam``.

    Raises:
        ListRejected: It cannot be read to its end, or is something else.
    """

    def made(item: Element) -> Iterator[Held]:
        return _records(item, environment)

    return parsed(_items(file, source), made, source=source, unit="record")


def paging(file: BinaryIO, *, source: str) -> tuple[Sequence[str], str | None]:
    """The texts of an answer's items, and what it says of the next one: ``/v2/entries?…``.

    Raises:
        ListRejected: It cannot be read to its end, or is something else.
    """
    items: list[str] = []
    following = None
    for depth, element in _ended(file, source):
        group = element.getparent()
        if depth != _ITEM_DEPTH or group is None:
            continue
        if _name(group) in _GROUPS:
            items.append(" ".join("".join(element.itertext()).split()))
        elif _name(group) == "paging" and _name(element) == "next":
            following = (element.text or "").strip() or None
    return items, following


# ── XML becomes items ─────────────────────────────────────────────────────────────────────────


def _items(file: BinaryIO, source: str) -> Iterator[tuple[int, Element | BadRecord]]:
    number = 0
    for depth, element in _ended(file, source):
        group = element.getparent()
        if depth == _ITEM_DEPTH and group is not None and (known := _GROUPS.get(_name(group))):
            number += 1
            what = f"unknown item {shown(_name(element))} in {_name(group)}"
            yield number, element if _name(element) in known else BadRecord(what)
        elif depth == _ITEM_DEPTH - 1 and _name(element) not in {*_GROUPS, "paging"}:
            number += 1
            yield number, BadRecord(f"neither images nor videos: {shown(_name(element))}")


def _ended(file: BinaryIO, source: str) -> Iterator[tuple[int, Element]]:
    """Yields items and what holds them, with their depth, where they end; then drops them."""
    try:
        from lxml import etree  # noqa: PLC0415  # of an extra
    except ImportError:
        raise needs("lxml", source) from None
    parser = etree.XMLPullParser(
        events=("start", "end"),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    depth = 0
    waited_bytes = 0
    try:
        while data := file.read(_CHUNK_BYTES):
            parser.feed(data)
            for event, element in parser.read_events():
                depth += event == "start"
                if depth == 1 and event == "start":
                    _check_root(element, source)
                if event == "end":
                    if depth <= _ITEM_DEPTH:
                        waited_bytes = 0
                        yield depth, element
                        _drop(element)
                    depth -= 1
            waited_bytes += len(data)
            if waited_bytes > MAX_RECORD_BYTES:
                raise ListRejected(
                    f"more than {MAX_RECORD_BYTES:,} bytes without a record", source=source
                )
        parser.close()
    except (etree.LxmlError, LookupError) as error:  # the second for an encoding of no name
        raise ListRejected(f"no XML: {error}", source=source) from error


def _check_root(element: Element, source: str) -> None:
    if element.getroottree().docinfo.doctype:
        raise ListRejected("a document type is not allowed", source=source)
    namespace, _, name = element.tag.rpartition("}")
    if name != "queryResult" or (namespace and not namespace.endswith(_VERSION)):
        raise ListRejected(
            f"no queryResult of Hash Sharing version 2: {shown(element.tag)}", source=source
        )


def _name(element: Element) -> str:
    full: str = element.tag
    return full.rpartition("}")[2]


def _drop(element: Element) -> None:
    element.clear()
    group = element.getparent()
    while group is not None and element.getprevious() is not None:
        del group[0]


# ── Items become records ──────────────────────────────────────────────────────────────────────


def _records(item: Element, environment: str) -> Iterator[Held]:
    member = _only(item, "member").get("id", "").strip()
    number = (_only(item, "id").text or "").strip()
    if not member or not number:
        raise BadRecord("an item needs an id, and its member too")
    entry = label(f"{member}/{number}")
    video = f"{entry}/video"  # the ids of videos need not differ from those of images
    match _name(item):
        case "deletedImage":
            yield Withdrawn(entry)
        case "deletedVideo":
            yield Skipped("deleted video", video)
        case "video":
            for kind, _ in _fingerprints(item):
                yield unmatched(f"{kind} of a video", video)
        case _:
            yield from _image(item, entry, member, environment)


def _image(item: Element, entry: str, member: str, environment: str) -> Iterator[Held]:
    shared = [tag("member", member)]
    if environment:
        shared.append(tag("environment", environment))
    shared += [
        tag("classification", (found.text or "").strip())
        for found in _children(item, "classification")
    ]
    is_without = True
    for kind, text in _fingerprints(item):
        is_without = False
        algorithm = _MATCHED.get(kind)
        if algorithm is None:
            yield unmatched(kind, entry)
        else:
            tags = (*shared, *_feedback(item, kind))
            yield held(algorithm, code_of(algorithm, text), entry, tags=tags)
    if is_without:
        yield Skipped("no hash", entry)


def _fingerprints(item: Element) -> list[tuple[str, str]]:
    """The kinds and texts of an item's hashes. Large ones have no text but an address."""
    found: dict[str, str] = {}
    for group in _children(item, "fingerprints"):
        for element in group:
            kind = _name(element)
            if kind in found:
                raise BadRecord(f"{shown(kind)} stands twice")
            text = (element.text or "").strip()
            if text or element.get("href"):
                found[kind] = text
    return list(found.items())


def _feedback(item: Element, kind: str) -> Iterator[str]:
    """The tags of what members said of a hash: how many said it, and their reasons."""
    for word in ("affirmative", "negative"):
        members: set[str] = set()
        reasons: dict[str, None] = {}
        for group in _children(item, "feedback"):
            for said in _children(group, f"{word}Feedback"):
                if said.get("type", "").lower() not in {kind, ""}:
                    continue
                members |= {one.get("id", "") for one in said.iter("{*}member")}
                reasons |= {one.get("name", ""): None for one in said.iter("{*}reason")}
        if members:
            yield tag("feedback", f"{word}={len(members)}")
        for reason in filter(None, reasons):
            yield tag("reason", reason)


def _children(item: Element, name: str) -> list[Element]:
    return list(item.iterchildren(f"{{*}}{name}"))


def _only(item: Element, name: str) -> Element:
    found = _children(item, name)
    if len(found) != 1:
        raise BadRecord(f"an item has one {name}, found {len(found)}")
    return found[0]
