"""One test per trick by which a picture could reach a model unlooked at."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from samples import photo

from initgate import Allowed, Gate, InitImageRefused

pytest.importorskip("diffusers", exc_type=ImportError)

import torch  # after the skip
from diffusers import StableDiffusionImg2ImgPipeline  # the same
from diffusers.callbacks import SDCFGCutoffCallback  # the same
from pipelines import PIPELINES, arguments  # the same

from initgate.integrations.diffusers import install, protect, uninstall  # the same
from initgate.integrations.diffusers.admission import Admission  # the same
from initgate.integrations.diffusers.callbacks import outside_the_call  # the same
from initgate.integrations.diffusers.emitted import Emitted  # the same
from initgate.integrations.tiny import CallCounter, tiny_img2img, tiny_unet  # the same

pytestmark = pytest.mark.diffusers

SIDE = 128


@pytest.fixture(autouse=True)
def _nothing_stays_installed() -> Iterator[None]:
    yield
    uninstall()


@pytest.fixture
def pipe(gate: Gate) -> Any:
    return protect(tiny_img2img(), gate)


def listed(side: int = SIDE) -> Image.Image:
    return photo("astronaut").resize((side, side))


def unlisted(side: int = SIDE) -> Image.Image:
    return photo("flower").resize((side, side))


def refused(pipe: Any, image: Any, **more: Any) -> InitImageRefused:
    counter = CallCounter.on(pipe)
    with pytest.raises(InitImageRefused) as raised:
        pipe("a photo", image, **more)
    assert (counter.denoise, counter.encode, counter.decode) == (0, 0, 0)
    return raised.value


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipe: Any, image: Any, **more: Any) -> Any:
    return pipe("a", image, strength=0.9, num_inference_steps=2, **more)


# ── What the model sees after the pipeline's own preprocessing ────────────────────────────────


def test_refuses_an_array_that_becomes_a_listed_photo_when_resized(pipe: Any) -> None:
    """Nearest-neighbour resizing reads one pixel of 64: the others can show anything else."""
    whole = np.asarray(unlisted(1024), np.float32)[None] / 255
    harmless = whole.copy()
    whole[:, ::8, ::8] = np.asarray(listed(128), np.float32) / 255
    assert np.abs(whole - harmless).mean() < 0.02

    class Shrinking(StableDiffusionImg2ImgPipeline):  # type: ignore[misc]  # untyped base
        def __call__(self, image: Any) -> Any:
            return self.vae.encode(self.image_processor.preprocess(image, height=128, width=128))

    small = Shrinking(**pipe.components, requires_safety_checker=False)
    with pytest.raises(InitImageRefused):
        small(whole)


def test_refuses_a_pixel_that_shifts_the_range_of_a_batch(pipe: Any) -> None:
    batch = np.stack([np.asarray(one, np.float32) / 255 for one in (unlisted(), listed())])
    batch[0, 0, 0, 0] = -1e-6
    refused(pipe, batch)


def test_refuses_the_tile_that_a_mask_crops_out_of_a_harmless_image(gate: Gate) -> None:
    """``padding_mask_crop`` feeds the masked tile alone to the model, enlarged."""
    whole, mask = unlisted(1024), Image.new("L", (1024, 1024))
    whole.paste(listed(128), (512, 256))
    mask.paste(255, (512, 256, 640, 384))
    pipe = protect(quiet(PIPELINES["inpaint"]()), gate)
    counter = CallCounter.on(pipe)
    call = arguments("inpaint", whole, mask) | {"height": 128, "width": 128}
    assert isinstance(gate.check(whole), Allowed)
    with pytest.raises(InitImageRefused) as raised:
        pipe(**call, padding_mask_crop=0)
    assert raised.value.argument == "encode"
    assert counter.denoise == 0


@pytest.mark.parametrize("opacity", [0, 1, 128])
def test_refuses_colours_under_an_alpha_plane(opacity: int, pipe: Any) -> None:
    """What a resize premultiplies, a viewer blends and ``convert`` uncovers."""
    hidden = listed()
    hidden.putalpha(opacity)
    assert refused(pipe, unlisted(), ip_adapter_image=hidden).argument == "ip_adapter_image"


# ── Strings, states, containers ───────────────────────────────────────────────────────────────

Pair = namedtuple("Pair", ["text", "image"])  # noqa: PYI024  # the old kind, on purpose


@dataclass(frozen=True)
class Condition:
    image: Any
    strength: float = 1.0


class Slots:
    __slots__ = ("image",)

    def __init__(self, image: Any) -> None:
        self.image = image


CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "list": lambda image: [image],
    "tuple": lambda image: (image,),
    "named tuple": lambda image: Pair("text", image),
    "dictionary": lambda image: {"a": {"b": image}},
    "ordered dictionary": lambda image: OrderedDict(a=image),
    "default dictionary": lambda image: defaultdict(list, a=image),
    "read-only mapping": lambda image: MappingProxyType({"a": image}),
    "frozen dataclass": Condition,
    "object": lambda image: SimpleNamespace(inner=SimpleNamespace(image=image)),
    "slots": Slots,
    "iterator": lambda image: iter([image]),
    "generator": lambda image: (one for one in [image]),
    "object array": lambda image: np.array([image, None], object),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", ["image", "cross_attention_kwargs", "whatever"])
def test_refuses_a_listed_photo_in_any_container(container: str, name: str, pipe: Any) -> None:
    held = CONTAINERS[container](listed())
    with pytest.raises(InitImageRefused):
        pipe("a", **({"image": unlisted()} | {name: held}))


@pytest.mark.parametrize(
    "message",
    [
        {"type": "image", "url": "https://example.org/a.png"},
        {"type": "image", "path": "a.png"},
        {"type": "image", "image": "a.png"},
        {"type": "image", "base64": "iVBORw0KGgo="},
    ],
    ids=lambda message: list(message)[1],
)
def test_refuses_a_chat_message_that_names_a_picture(message: Any, pipe: Any) -> None:
    refused(pipe, unlisted(), messages=[{"role": "user", "content": [message]}])


@pytest.mark.parametrize(
    "value",
    [Path("a.png"), memoryview(b"x"), bytearray(b"x")],
    ids=lambda value: type(value).__name__,
)
def test_refuses_what_could_be_opened(value: object, pipe: Any) -> None:
    refused(pipe, unlisted(), something=value)


def test_refuses_an_open_file(pipe: Any, tmp_path: Path) -> None:
    listed().save(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as file:
        refused(pipe, unlisted(), something=file)


def test_refuses_nesting_without_end(pipe: Any) -> None:
    endless: list[Any] = []
    endless.append(endless)
    refused(pipe, endless)


_LEAVES = st.sampled_from([None, 1, 2.5, True])


def _nest(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3),
            st.tuples(inner, _LEAVES),
            st.dictionaries(st.sampled_from("abc"), inner, min_size=1),
            inner.map(Condition),
        ),
        max_leaves=4,
    )


def _admit(gate: Gate, value: Any) -> Any:
    def call(self: Any, held: Any) -> None: ...

    bound = inspect.signature(call).bind(None, value)
    pipe = SimpleNamespace()
    Admission(gate, pipe, emitted=Emitted(), wrap_callback=outside_the_call).admit(bound)
    return bound.arguments["held"]


SMALL_LISTED, SMALL_UNLISTED = listed(96), unlisted(96)


@given(_nest(st.just(SMALL_LISTED)))
def test_any_nesting_around_a_listed_photo_is_refused(sample_gate: Gate, held: Any) -> None:
    with pytest.raises(InitImageRefused):
        _admit(sample_gate, held)


@given(_nest(st.just(SMALL_UNLISTED) | _LEAVES))
def test_any_nesting_without_one_arrives_as_it_was(sample_gate: Gate, held: Any) -> None:
    assert _admit(sample_gate, held) == held


# ── Class-level, captured and threaded calls ──────────────────────────────────────────────────


def test_a_call_captured_before_the_gate_does_not_denoise(gate: Gate) -> None:
    captured = StableDiffusionImg2ImgPipeline.__call__
    pipe = protect(tiny_img2img(), gate)
    counter = CallCounter.on(pipe)
    with pytest.raises(InitImageRefused):
        captured(pipe, "a", listed())
    assert (counter.denoise, counter.decode) == (0, 0)


def test_a_captured_call_denoises_not_even_an_unlisted_photo(gate: Gate) -> None:
    captured = StableDiffusionImg2ImgPipeline.__call__
    pipe = protect(tiny_img2img(), gate)
    counter = CallCounter.on(pipe)
    with pytest.raises(InitImageRefused):
        run(lambda *args, **more: captured(pipe, *args, **more), unlisted())
    assert counter.denoise == 0


@pytest.mark.parametrize("is_made_first", [True, False])
def test_a_call_captured_before_install_does_not_denoise(is_made_first: bool, gate: Gate) -> None:
    captured = StableDiffusionImg2ImgPipeline.__call__
    pipe = tiny_img2img() if is_made_first else None
    install(gate)
    pipe = pipe or tiny_img2img()
    counter = CallCounter.on(pipe)
    with pytest.raises(InitImageRefused):
        captured(pipe, "a", listed())
    assert (counter.denoise, counter.decode) == (0, 0)


@pytest.mark.parametrize("name", ["unet", "anything"])
def test_a_denoiser_given_to_a_pipeline_later_runs_only_inside_a_gated_call(
    name: str, pipe: Any
) -> None:
    pipe.register_modules(**{name: tiny_unet()})
    with pytest.raises(InitImageRefused):
        getattr(pipe, name)(torch.randn(1, 4, 8, 8), 1, torch.randn(1, 16, 16))


def test_the_denoiser_runs_only_inside_a_gated_call(pipe: Any) -> None:
    with pytest.raises(InitImageRefused):
        pipe.unet(torch.randn(1, 4, 8, 8), 1, torch.randn(1, 16, 16))


def test_a_compiled_denoiser_runs_only_inside_a_gated_call(gate: Gate) -> None:
    pipe = tiny_img2img()
    pipe.unet = torch.compile(pipe.unet, backend="eager", fullgraph=True)
    protect(pipe, gate)
    run(pipe, unlisted(64))
    with pytest.raises(InitImageRefused):
        pipe.unet(torch.randn(1, 4, 8, 8), 1, torch.randn(1, 16, 16))


def test_a_thread_started_inside_a_call_is_outside(pipe: Any) -> None:
    caught: list[BaseException] = []

    def steal() -> None:
        try:
            pipe.unet(torch.randn(1, 4, 8, 8), 1, torch.randn(1, 16, 16))
        except InitImageRefused as error:
            caught.append(error)

    def callback(_pipe: Any, _step: int, _time: Any, held: Any) -> Any:
        thread = threading.Thread(target=steal)
        thread.start()
        thread.join()
        return held

    run(pipe, unlisted(64), callback_on_step_end=callback)
    assert caught


def test_the_autoencoder_looks_at_what_it_is_given(pipe: Any) -> None:
    pixels = torch.from_numpy(np.array(listed())).permute(2, 0, 1)[None] / 127.5 - 1
    with pytest.raises(InitImageRefused):
        pipe.vae.encode(pixels)


def test_other_ways_into_a_pipeline_are_gated(pipe: Any) -> None:
    with pytest.raises(InitImageRefused):
        pipe.prepare_latents(listed(), 1, 1, 1, torch.float32, "cpu")


@pytest.mark.parametrize("copy_of", [copy.deepcopy, lambda pipe: pickle.loads(pickle.dumps(pipe))])  # noqa: S301  # made here
def test_a_copy_of_a_protected_pipeline_runs_only_when_protected_again(
    copy_of: Callable[[Any], Any], pipe: Any, gate: Gate
) -> None:
    copied = copy_of(pipe)
    with pytest.raises(RuntimeError, match="call protect"):
        run(copied, unlisted(64))
    run(protect(copied, gate), unlisted(64))
    refused(copied, listed())


# ── Callbacks ─────────────────────────────────────────────────────────────────────────────────


def _replacing(_pipe: Any, _step: int, _time: Any, held: Any) -> Any:
    return {"latents": torch.randn_like(held["latents"])}


def _in_place(_pipe: Any, _step: int, _time: Any, held: Any) -> Any:
    held["latents"].add_(1)
    return held


def _calling(pipe: Any, _step: int, _time: Any, held: Any) -> Any:
    pipe("a", listed(64))
    return held


@pytest.mark.parametrize("callback", [_replacing, _in_place, _calling])
def test_refuses_a_callback_that_brings_in_another_picture(callback: Any, pipe: Any) -> None:
    with pytest.raises(InitImageRefused):
        run(pipe, unlisted(64), callback_on_step_end=callback)


def test_a_callback_that_only_looks_is_let_alone(pipe: Any) -> None:
    seen: list[int] = []

    def callback(_pipe: Any, step: int, _time: Any, held: Any) -> Any:
        seen.append(step)
        return held

    run(pipe, unlisted(64), callback_on_step_end=callback)
    assert seen


def test_diffusers_own_callbacks_go_on_working(pipe: Any) -> None:
    run(pipe, unlisted(64), callback_on_step_end=SDCFGCutoffCallback(cutoff_step_ratio=0.5))


# ── Encoded inputs ────────────────────────────────────────────────────────────────────────────


def test_what_a_gated_call_gave_out_may_go_into_the_next(pipe: Any) -> None:
    latents = run(pipe, unlisted(64), output_type="latent").images
    run(pipe, latents)
    run(pipe, latents[0][None])


def test_changed_latents_are_foreign(pipe: Any) -> None:
    latents = run(pipe, unlisted(64), output_type="latent").images
    refused(pipe, latents + 1e-3)


def test_what_an_ungated_call_gave_out_is_foreign(pipe: Any) -> None:
    latents = run(tiny_img2img(), unlisted(64), output_type="latent").images
    refused(pipe, latents)


def test_embeddings_of_pictures_are_refused_where_a_prompt_may_hold_them(gate: Gate) -> None:
    class Editing(StableDiffusionImg2ImgPipeline):  # type: ignore[misc]  # untyped base
        def encode_prompt(self, prompt: str, image: Any) -> Any: ...

        def __call__(self, prompt_embeds: Any) -> Any: ...

    pipe = protect(Editing(**tiny_img2img().components, requires_safety_checker=False), gate)
    with pytest.raises(InitImageRefused):
        pipe(prompt_embeds=torch.randn(1, 16, 16))


# ── Honest use ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "more",
    [
        {"generator": [torch.Generator().manual_seed(0)]},
        {"timesteps": None, "guidance_scale": 0.0},
        {"output_type": "pt"},
        {"cross_attention_kwargs": {}},
        {"negative_prompt": "blue", "eta": 0.1},
        {"return_dict": False},
    ],
    ids=lambda more: next(iter(more)),
)
def test_ordinary_arguments_pass(more: Mapping[str, Any], pipe: Any) -> None:
    run(pipe, unlisted(64), **more)


def test_install_gates_the_models_of_pipelines_made_later(gate: Gate) -> None:
    install(gate)
    pipe = tiny_img2img()
    with pytest.raises(InitImageRefused):
        pipe.unet(torch.randn(1, 4, 8, 8), 1, torch.randn(1, 16, 16))
