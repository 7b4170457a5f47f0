"""The sample photos that the shipped lists hold, others that they do not, and the shared data."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "config/initgate.toml"


def _photos() -> tuple[dict[str, Path], dict[str, Path]]:
    """What hashlists/rebuild.py lists and leaves out; its folder is no package."""
    spec = importlib.util.spec_from_file_location("rebuild", ROOT / "hashlists/rebuild.py")
    if spec is None or spec.loader is None:
        raise ImportError("hashlists/rebuild.py")
    rebuild = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rebuild)
    return rebuild.LISTED, rebuild.UNLISTED


LISTED, UNLISTED = _photos()

# Read here, since the configuration takes every INITGATE_ variable for a setting.
SHARED_DATA = Path(os.environ.get("INITGATE_SHARED_DATA") or ROOT.parent / "shared/data")


@cache
def photo(name: str, most: int = 2048) -> Image.Image:
    """A sample photo as RGB, its longest side at most ``most``. Shared: copy before changing."""
    with Image.open({**LISTED, **UNLISTED}[name]) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((most, most))
    return picture
