"""One edit at a time, in a process of its own: draw, hash, compare. What was done once is kept."""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import alter
import compose
import faiss
import methods
import numpy as np
import PIL
from edits import EDITS, Edit
from numpy.typing import NDArray
from photos import Codes, Split, load, photo_files, read_distractors

_FIT = 50  # the PDQ quality that an entry must have


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run measures; the same for all of its processes.

    Args:
        data: The folder with ``photos`` and ``distractors.npz``.
        split: Whose photos are queries.
        photos: How many of them at most.
        methods: Names.
        cache: Where edited files and outcomes are kept.
        peers: Folders to import optional libraries from, after all others.
    """

    data: Path
    split: Split
    photos: int
    methods: tuple[str, ...]
    cache: Path
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one method made of one edit of all photos.

    Args:
        own: Distance to the photo's entry, ``[photos]``.
        pairs: Of unrelated pairs, how many at each distance: ``[photos, bits + 1]``.
        alike: Pairs of two photos that were edited alike, one of them the entry: ``[bits + 1]``.
        views: Codes a query, ``[photos]``.
    """

    own: NDArray[np.int16]
    pairs: NDArray[np.int32]
    alike: NDArray[np.int64]
    views: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Looked:
    """One picture that is no photo.

    Args:
        entries: The entry it would make, per space.
        is_fit: Whether its PDQ quality makes it fit for a list.
        codes: What each method looks up of it.
    """

    entries: dict[str, Codes]
    is_fit: bool
    codes: dict[str, Codes]


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """The codes of entries, one or more of each.

    Args:
        codes: uint8 ``[n, bits / 8]``.
        starts: Each entry's first.
    """

    codes: Codes
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, entries: Iterable[Codes]) -> Listed:
        """Those of each entry."""
        made = list(entries)
        return cls(np.concatenate(made), np.cumsum([0, *map(len, made[:-1])]))


class Bench:
    """A plan with its pictures in memory. Each process opens its own.

    Args:
        plan: What is measured.
    """

    def __init__(self, plan: Plan) -> None:
        for folder in plan.peers:
            if folder not in sys.path:
                sys.path.append(folder)
        self.plan = plan
        folder = plan.data / "photos"
        self.files = photo_files(folder, plan.split)[: plan.photos]
        self.fillers = [load(path) for path in photo_files(folder, Split.FILLER)]
        self.methods = [methods.named(name) for name in plan.methods]
        distractors = read_distractors(plan.data / "distractors.npz")
        others = [path for path in photo_files(folder, plan.split) if path not in set(self.files)]
        self.unrelated = len(others) + len(distractors["pdq"])
        files = [path.read_bytes() for path in self.files + others]
        self.listed: dict[str, Listed] = {}
        for space in {method.space for method in self.methods}:
            further = distractors["phash" if space == "phash" else "pdq"]
            made = [methods.entries(space, data) for data in files]
            self.listed[space] = Listed.of([*made, *further[:, None]])

    def edit(self, edit: Edit) -> dict[str, Outcome]:
        """What every method makes of an edit."""
        key = digest(
            *(path.name for path in self.files), *(len(one.codes) for one in self.listed.values())
        )
        kept = {
            method.name: self.plan.cache
            / "outcomes"
            / digest(_drawing(edit), method.name, method.version, key)
            for method in self.methods
        }
        paths = {name: path.with_suffix(".npz") for name, path in kept.items()}
        new = [method for method in self.methods if not paths[method.name].exists()]
        if new:
            files = [self._edited(edit, photo) for photo in self.files]
            codes = [methods.codes(new, data) for data in files]
            alike = {
                space: Listed.of(methods.entries(space, data) for data in files)
                for space in {method.space for method in new}
            }
            for method in new:
                made = [one[method.name] for one in codes]
                outcome = self._compare(method, alike[method.space], made)
                made = {f.name: getattr(outcome, f.name) for f in fields(Outcome)}
                _keep(paths[method.name], lambda to, made=made: np.savez_compressed(to, **made))
        outcomes = {}
        for name, path in paths.items():
            with np.load(path) as arrays:
                outcomes[name] = Outcome(*(arrays[f.name] for f in fields(Outcome)))
        return outcomes

    def look(self, path: Path) -> Looked:
        """A picture by every method."""
        data = path.read_bytes()
        versions = [f"{method.name} {method.version}" for method in self.methods]
        kept = (self.plan.cache / "looked" / digest(data, *versions)).with_suffix(".npz")
        if not kept.exists():
            found = methods.codes(self.methods, data)
            made = {f"codes {name}": codes for name, codes in found.items()}
            made |= {f"entry {space}": methods.entries(space, data) for space in self.listed}
            made["quality"] = np.array(methods.quality(data))
            _keep(kept, lambda to: np.savez(to, **made))
        with np.load(kept) as arrays:
            return Looked(
                {space: arrays[f"entry {space}"] for space in self.listed},
                int(arrays["quality"]) >= _FIT,
                {method.name: arrays[f"codes {method.name}"] for method in self.methods},
            )

    def _edited(self, edit: Edit, photo: Path) -> bytes:
        folder = self.plan.cache / "edits" / edit.name / _drawing(edit)
        path = folder / f"{photo.stem}-{digest(photo.read_bytes())[:8]}"
        if not path.exists():
            made = edit.apply(load(photo), photo=photo.name, fillers=self.fillers)
            _keep(path, lambda to: to.write(made))
        return path.read_bytes()

    def _compare(
        self, method: methods.Method, alike_entries: Listed, queries: Sequence[Codes]
    ) -> Outcome:
        listed = self.listed[method.space]
        count = len(queries)
        own = np.empty(count, np.int16)
        pairs = np.zeros((count, method.bits + 1), np.int32)
        alike = np.zeros(method.bits + 1, np.int64)
        for number, codes in enumerate(queries):
            distances = nearest(codes, listed)
            own[number] = distances[number]
            pairs[number] = np.bincount(np.delete(distances, number), minlength=method.bits + 1)
            other = np.delete(nearest(codes, alike_entries), number)
            alike += np.bincount(other, minlength=method.bits + 1)
        return Outcome(own, pairs, alike, np.array([len(codes) for codes in queries], np.int32))


def timed(method: methods.Method, data: bytes) -> tuple[Codes, float]:
    """A query's codes, and the milliseconds from pixels to them."""
    pixels = method.read(data)
    started = time.perf_counter()
    codes = method.codes(pixels)
    return codes, (time.perf_counter() - started) * 1000


def nearest(codes: Codes, listed: Listed) -> NDArray[np.int64]:
    """Of every entry, the distance to the nearest of a query's codes; all bits if there is none."""
    bits = listed.codes.shape[1] * 8
    if not len(codes):
        return np.full(len(listed.starts), bits)
    index = faiss.IndexBinaryFlat(bits)
    index.add(codes)
    distances = index.search(listed.codes, 1)[0][:, 0]
    return np.minimum.reduceat(distances, listed.starts).astype(np.int64)


@cache
def _source() -> str:
    modules = [alter, compose]
    paths = [Path(module.__file__ or "") for module in modules]
    return digest(*(path.read_bytes() for path in paths), PIL.__version__)


def _drawing(edit: Any) -> str:
    """Changes when the edit's files may."""
    return digest(_source(), edit.name, str(edit))


def digest(*parts: object) -> str:
    """Of bytes and whatever else, 16 hexadecimal digits."""
    told = b"\0".join(part if isinstance(part, bytes) else str(part).encode() for part in parts)
    return hashlib.sha256(told).hexdigest()[:16]


def _keep(path: Path, write: Callable[[Any], object]) -> None:
    """Writes a file whole or not at all: several processes and runs share the cache."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{time.monotonic_ns()}.part")
    with part.open("wb") as to:
        write(to)
    part.replace(path)


# ── in a worker process ───────────────────────────────────────────────────────────────────────

_bench: Bench | None = None


def open_bench(plan: Plan) -> None:
    """Opens this process's bench."""
    global _bench  # noqa: PLW0603  # a worker has one plan
    _bench = Bench(plan)
    faiss.omp_set_num_threads(1)  # there are as many workers as processors


def measure_edit(name: str) -> tuple[str, dict[str, Outcome]]:
    """An edit's name, and what every method makes of it."""
    return name, _opened().edit(by_name()[name])


def look_at(paths: Sequence[Path]) -> list[Looked]:
    """Several pictures by every method."""
    return [_opened().look(path) for path in paths]


def _opened() -> Bench:
    if _bench is None:
        raise RuntimeError("open_bench was not called")
    return _bench


@cache
def by_name() -> dict[str, Edit]:
    """Every edit that can be used here: one's own, and those of libraries if there are any."""
    return {edit.name: edit for edit in (*EDITS, *importlib.import_module("libraries").edits())}
