"""Rebuilds the reference of benign hashes from the pictures that ``drawn`` draws.

python benign/rebuild.py            # write
python benign/rebuild.py --check    # exit 1 if a hash would change by more than 10 bits
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from drawn import family, pictures

from initgate.benign import load_benign
from initgate.hashing import hash_upright
from initgate.lists import Format, dump
from initgate.model import Algorithm, ListEntry

FILE = Path(__file__).parent.parent / "src/initgate/benign/hashes.csv"

# Other versions of FreeType draw letters a little differently.
_TOLERANCE = 10  # bits


def build() -> Iterator[ListEntry]:
    """The entry of each picture, the first of those with the same hash."""
    known = set()
    for name, picture in pictures():
        made = hash_upright(np.asarray(picture), Algorithm.PDQ)
        if made.code not in known:
            known.add(made.code)
            yield ListEntry(Algorithm.PDQ, made.code, name, made.quality, (family(name),))


def differing(made: list[ListEntry]) -> Iterator[str]:
    """What the shipped file holds otherwise."""
    shipped = {one.entry: one for one in load_benign()}
    for one in made:
        if (old := shipped.pop(one.entry, None)) is None:
            yield f"{one.entry}: missing"
            continue
        pair = np.frombuffer(one.code + old.code, np.uint8).reshape(2, -1)
        if (distance := int(np.bitwise_count(pair[0] ^ pair[1]).sum())) > _TOLERANCE:
            yield f"{one.entry}: {distance} bits"
    yield from (f"{entry}: no such picture" for entry in shipped)


def main() -> None:
    """Writes the file, or checks it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    made = list(build())
    if parser.parse_args().check:
        problems = list(differing(made))
        print("\n".join([*problems, f"{len(problems)} differ"]))
        sys.exit(1 if problems else 0)
    FILE.write_bytes(dump(made, Format.CSV))
    print(f"written: {FILE}, {len(made)} hashes")


if __name__ == "__main__":
    main()
