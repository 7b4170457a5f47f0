"""What the gate adds to a diffusers call of the size of Stable Diffusion 1.5.

    python benchmarks/speed/walls.py

The models have SD 1.5's shapes and random weights: 5 GB of memory, no download. One step of
image-to-image at 512² with guidance is the shortest call there is, so the share is the largest.
The gate's time is taken inside the protected call, so that a busy machine does not blur it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_sample_image
from transformers import CLIPTextConfig, CLIPTextModel

from initgate import Gate, load_gate
from initgate.config import load_settings
from initgate.integrations.diffusers import protect
from initgate.integrations.diffusers.admission import Admission
from initgate.integrations.diffusers.emitted import Emitted
from initgate.integrations.diffusers.walls import _Hook
from initgate.integrations.tiny import tiny_text
from initgate.wiring import make_log

ROOT = Path(__file__).parents[2]
CHECKS = "gate.check: hashing and search"
WALLS = ("arguments", "the autoencoder's input", "other models' inputs", "results remembered")
PLACES: tuple[tuple[type, str], ...] = (
    (Admission, "admit"),
    (Admission, "check_pixels"),
    (_Hook, "__call__"),
    (Emitted, "remember"),
)
TIMED = {CHECKS: (Gate, "check"), **dict(zip(WALLS, PLACES, strict=True))}


def sd15() -> Any:
    """A pipeline of the shapes of Stable Diffusion 1.5, with random weights."""
    vae = AutoencoderKL(
        block_out_channels=[128, 256, 512, 512],
        layers_per_block=2,
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=4,
    )
    text = CLIPTextModel(
        CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_attention_heads=12)
    )
    pipe = StableDiffusionImg2ImgPipeline(
        vae=vae.eval(),
        unet=UNet2DConditionModel(sample_size=64, cross_attention_dim=768).eval(),
        text_encoder=text.eval(),
        tokenizer=tiny_text()["tokenizer"],
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextmanager
def timed(seconds: dict[str, float]) -> Iterator[None]:
    """Adds up the time spent in the gate's parts."""
    originals = {place: getattr(*place) for place in TIMED.values()}

    def timing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                seconds[name] += time.perf_counter() - started

        return called

    for name, place in TIMED.items():
        setattr(*place, timing(name, originals[place]))
    try:
        yield
    finally:
        for place, original in originals.items():
            setattr(*place, original)


def measure(pipe: Any, image: Image.Image) -> dict[str, float]:
    """Seconds of one call, whole and in the gate's parts."""
    seconds: dict[str, float] = defaultdict(float)
    with timed(seconds):
        started = time.perf_counter()
        pipe("a photo", image=image, strength=1.0, num_inference_steps=1)
        seconds["call"] = time.perf_counter() - started
    return dict(seconds)


def main() -> None:
    """Prints the table and writes ``walls.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/speed/results")
    options = parser.parse_args()

    torch.manual_seed(0)
    image = Image.fromarray(load_sample_image("flower.jpg")).resize((512, 512))
    settings = load_settings(ROOT / "config/initgate.toml")
    with tempfile.TemporaryDirectory() as folder:
        audit = settings.audit.model_copy(update={"url": f"sqlite:///{folder}/audit.db"})
        gate = load_gate(settings.model_copy(update={"audit": audit}), log=make_log("error"))
        pipe = protect(sd15(), gate)
        rounds = [measure(pipe, image) for _ in range(options.rounds + 1)][1:]  # one to warm up

    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    whole = statistics.median(sum(one[wall] for wall in WALLS) for one in rounds)
    beside = statistics.median(sum(one[wall] for wall in WALLS) - one[CHECKS] for one in rounds)
    rows = {"the call": medians["call"], "all of the gate": whole, CHECKS: medians[CHECKS]}
    rows |= {"beside gate.check": beside} | {wall: medians[wall] for wall in WALLS}
    table = Table("part", "ms", "of the call", title="One step, 512², SD 1.5's size")
    for name, value in rows.items():
        table.add_row(name, f"{value * 1000:.2f}", f"{value / medians['call']:.3%}")
    Console().print(table)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "walls.json").write_text(json.dumps({"rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
