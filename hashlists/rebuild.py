"""Rebuilds the sample lists byte for byte from photos that ship in scikit-image, scikit-learn
and matplotlib, and the canary's hashes from its picture.

    python hashlists/rebuild.py            # write
    python hashlists/rebuild.py --check    # exit 1 if a file would change
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
import skimage
import sklearn

from initgate.lists import Format, dump
from initgate.lists.build import entry_of
from initgate.model import Algorithm, ListEntry

HERE = Path(__file__).parent
CANARY = HERE.parent / "src/initgate/canary"

_SKIMAGE = Path(skimage.__file__).parent / "data"
_SKLEARN = Path(sklearn.__file__).parent / "datasets/images"
_MATPLOTLIB = Path(mpl.__file__).parent / "mpl-data/sample_data"

# Entry and photo. Licences: hashlists/README.md.
LISTED = {
    "astronaut": _SKIMAGE / "astronaut.png",
    "chelsea": _SKIMAGE / "chelsea.png",
    "coffee": _SKIMAGE / "coffee.png",
    "rocket": _SKIMAGE / "rocket.jpg",
    "china": _SKLEARN / "china.jpg",
    "grace_hopper": _MATPLOTLIB / "grace_hopper.jpg",
}
UNLISTED = {
    "flower": _SKLEARN / "flower.jpg",
    "motorcycle": _SKIMAGE / "motorcycle_left.png",
    "hubble_deep_field": _SKIMAGE / "hubble_deep_field.jpg",
    "retina": _SKIMAGE / "retina.jpg",
    "camera": _SKIMAGE / "camera.png",
    "coins": _SKIMAGE / "coins.png",
    "ihc": _SKIMAGE / "ihc.png",
    "moon": _SKIMAGE / "moon.png",
    "page": _SKIMAGE / "page.png",
    "text": _SKIMAGE / "text.png",
    "brick": _SKIMAGE / "brick.png",
    "grass": _SKIMAGE / "grass.png",
}


def build() -> dict[Path, bytes]:
    """Every file this script owns and what it must hold."""
    samples = {
        "sample-pdq.csv": (Algorithm.PDQ, Format.CSV),
        "sample-phash.jsonl": (Algorithm.PHASH256, Format.JSONL),
        "sample-sha256.csv": (Algorithm.SHA256, Format.CSV),
    }
    files = {}
    for name, (algorithm, file_format) in samples.items():
        made = [
            entry_of(path.read_bytes(), algorithm=algorithm, entry=entry)
            for entry, path in LISTED.items()
        ]
        tagged = [ListEntry(e.algorithm, e.code, e.entry, e.quality, ("sample",)) for e in made]
        files[HERE / name] = dump(tagged, file_format)
    picture = (CANARY / "picture.png").read_bytes()
    canary = [entry_of(picture, algorithm=one, entry="canary") for one in Algorithm]
    files[CANARY / "hashes.csv"] = dump(canary, Format.CSV)
    return files


def main() -> None:
    """Writes the files, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, exit 1 on a difference"
    )
    check = parser.parse_args().check
    changed = 0
    for path, data in build().items():
        if not path.exists() or path.read_bytes() != data:
            changed += 1
            print(f"{'differs' if check else 'written'}: {path}")
            if not check:
                path.write_bytes(data)
    print(f"{changed} changed")
    sys.exit(1 if check and changed else 0)


if __name__ == "__main__":
    main()
