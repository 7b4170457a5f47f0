"""The gate before pipelines with several inputs, of video, of several calls, and modular ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import MakeGate
from PIL import Image
from samples import photo

from initgate import Gate, InitImageRefused, Reason
from initgate.policy import Encoded
from initgate.testing import make_list

pytest.importorskip("diffusers", exc_type=ImportError)

import torch  # after the skip
from diffusers import (  # the same
    FluxImg2ImgPipeline,
    FluxPipeline,
    LTXPipeline,
    PixArtAlphaPipeline,
    QwenImageEditAutoBlocks,
    QwenImageEditModularPipeline,
    QwenImagePipeline,
    StableDiffusionXLPipeline,
)
from diffusers.modular_pipelines import PipelineState  # the same
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit  # the same
from pipelines import MORE, arguments, flux, flux_modular, sdxl, seeing_vae, wan_vace  # the same

from initgate.integrations.diffusers import install, protect, uninstall
from initgate.integrations.diffusers.families import text_holds_images
from initgate.integrations.tiny import CallCounter, tiny_img2img

pytestmark = pytest.mark.diffusers

SIDE = 128
FRAMES = 5

PIXELS: dict[str, tuple[str, ...]] = {
    "ControlNet img2img": ("image", "control_image", "ip_adapter_image"),
    "IP-adapter": ("image", "ip_adapter_image"),
    "Flux Kontext": ("image", "ip_adapter_image", "negative_ip_adapter_image"),
    "Qwen edit": ("image",),
    "Wan video to video": ("video",),
    "SDXL base": ("ip_adapter_image",),
    "Flux modular": ("image", "resized_image"),
}
"""Every argument that takes a picture."""

ENCODED: dict[str, tuple[str, ...]] = {
    "ControlNet img2img": ("latents", "ip_adapter_image_embeds"),
    "IP-adapter": ("ip_adapter_image_embeds",),
    "Flux Kontext": (
        "latents",
        "ip_adapter_image_embeds",
        "negative_ip_adapter_image_embeds",
    ),
    "Qwen edit": ("latents", "prompt_embeds", "negative_prompt_embeds"),
    "Wan video to video": ("latents",),
    "SDXL base": ("latents", "ip_adapter_image_embeds"),
    "Flux modular": ("latents", "image_latents"),
}
"""Every argument that takes what was made of one."""

GUARDS: dict[str, Callable[[Any, Gate], object]] = {
    "protect": protect,
    "install": lambda _pipe, gate: install(gate),
}


def listed() -> Image.Image:
    return photo("astronaut").resize((SIDE, SIDE))


def unlisted() -> Image.Image:
    return photo("flower").resize((SIDE, SIDE))


def frames() -> list[Image.Image]:
    """Only the last one is listed."""
    return [unlisted()] * (FRAMES - 1) + [listed()]


@pytest.fixture(autouse=True)
def _nothing_stays_installed() -> Iterator[None]:
    yield
    uninstall()


@pytest.fixture(autouse=True)
def _small_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qwen edits pictures of 1024², whatever they come in."""
    monkeypatch.setattr(
        pipeline_qwenimage_edit, "calculate_dimensions", lambda _area, _ratio: (64, 64, None)
    )


def made(name: str) -> Any:
    return quiet(MORE[name]())


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def result(pipe: Any, **call: Any) -> Any:
    """What a call makes, as an array."""
    call.setdefault("generator", torch.Generator()).manual_seed(0)
    given = pipe(**call, output_type="np")
    if isinstance(given, PipelineState):
        return np.asarray(given.get("images"))
    return np.asarray(given.frames if "frames" in given else given.images)


def refusal(pipe: Any, **kwargs: Any) -> str:
    """Which argument is refused, after which no model of the pipeline has run."""
    counter = CallCounter.on(pipe)
    forwards: list[str] = []
    for name, module in vars(pipe).items():
        if isinstance(module, torch.nn.Module):
            module.register_forward_pre_hook(lambda *_, name=name: forwards.append(name))
    with pytest.raises(InitImageRefused) as raised:
        pipe(**kwargs)
    assert (counter.denoise, counter.encode, counter.decode) == (0, 0, 0)
    assert not forwards
    argument = raised.value.argument
    assert argument is not None
    return argument


# ── Every pipeline ────────────────────────────────────────────────────────────────────────────


def in_place(name: str, argument: str) -> dict[str, Any]:
    """A call in which this argument alone holds a listed picture."""
    special = {"video": frames(), "resized_image": [listed()]}
    return arguments(name, unlisted(), None) | {argument: special.get(argument, listed())}


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize(
    ("name", "argument"), [(name, one) for name, some in PIXELS.items() for one in some]
)
def test_refuses_a_listed_image_in_every_argument_before_any_model_runs(
    name: str, argument: str, guard: str, gate: Gate
) -> None:
    pipe = made(name)
    GUARDS[guard](pipe, gate)
    assert refusal(pipe, **in_place(name, argument)).startswith(argument)


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize(
    ("name", "argument"), [(name, one) for name, some in ENCODED.items() for one in some]
)
def test_refuses_encoded_inputs_in_every_argument(
    name: str, argument: str, guard: str, gate: Gate
) -> None:
    pipe = made(name)
    GUARDS[guard](pipe, gate)
    value: Any = torch.randn(1, 4, 32, 32)
    call = arguments(name, unlisted(), None)
    assert refusal(pipe, **call | {argument: [value]}) == f"{argument}[0]"
    assert refusal(pipe, **call | {argument: value}) == argument


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("name", MORE)
def test_gives_the_same_result_bit_for_bit_for_unlisted_images(
    name: str, guard: str, gate: Gate
) -> None:
    call = arguments(name, unlisted(), None)
    bare = result(made(name), **call)
    pipe = made(name)
    GUARDS[guard](pipe, gate)
    guarded = result(pipe, **call)
    assert np.isfinite(bare).all()
    assert np.array_equal(bare, guarded)


@pytest.mark.parametrize(
    ("name", "argument"),
    [(name, one) for name in ("ControlNet img2img", "IP-adapter") for one in PIXELS[name][:2]],
)
def test_every_picture_of_a_call_has_a_say_in_the_result(name: str, argument: str) -> None:
    """Else the tests above would show nothing."""
    other = result(made(name), **in_place(name, argument))
    assert not np.array_equal(result(made(name), **arguments(name, unlisted(), None)), other)


# ── ControlNet and IP-adapter ─────────────────────────────────────────────────────────────────


def test_refuses_the_one_listed_control_image_of_several(gate: Gate) -> None:
    call = arguments("ControlNet img2img", unlisted(), None)
    call["control_image"] = [unlisted(), listed()]
    assert refusal(protect(made("ControlNet img2img"), gate), **call) == "control_image[1]"


def test_refuses_the_one_listed_image_of_several_for_an_adapter(gate: Gate) -> None:
    call = arguments("IP-adapter", unlisted(), None) | {
        "ip_adapter_image": [[unlisted(), listed()]]
    }
    assert refusal(protect(made("IP-adapter"), gate), **call) == "ip_adapter_image[0][1]"


def test_image_embeddings_made_behind_the_gate_pass(gate: Gate) -> None:
    call = arguments("IP-adapter", unlisted(), None)
    bare = result(made("IP-adapter"), **call)
    pipe = protect(made("IP-adapter"), gate)
    embeds = pipe.prepare_ip_adapter_image_embeds(
        call.pop("ip_adapter_image"),
        None,
        device=torch.device("cpu"),
        num_images_per_prompt=1,
        do_classifier_free_guidance=True,
    )
    assert np.array_equal(bare, result(pipe, **call, ip_adapter_image_embeds=embeds))


def test_image_embeddings_of_a_listed_image_are_not_made(gate: Gate) -> None:
    pipe = protect(made("IP-adapter"), gate)
    with pytest.raises(InitImageRefused):
        pipe.prepare_ip_adapter_image_embeds(listed(), None, torch.device("cpu"), 1, True)  # noqa: FBT003  # theirs
    with pytest.raises(InitImageRefused):
        pipe.encode_image(listed(), torch.device("cpu"), 1)


# ── Prompt embeddings that hold pictures ──────────────────────────────────────────────────────


def test_prompt_embeddings_of_a_picture_pass_if_a_gated_call_made_them(gate: Gate) -> None:
    call = arguments("Qwen edit", unlisted(), None)
    bare = result(made("Qwen edit"), **call)
    pipe = protect(made("Qwen edit"), gate)
    seen = pipe.image_processor.resize(call["image"], 64, 64)  # as the call does
    embeds, mask = pipe.encode_prompt(call.pop("prompt"), image=seen)
    given = result(pipe, **call, prompt_embeds=embeds, prompt_embeds_mask=mask)
    assert np.allclose(bare, given, atol=1e-4)


def test_prompt_embeddings_of_a_listed_picture_are_not_made(gate: Gate) -> None:
    pipe = protect(made("Qwen edit"), gate)
    with pytest.raises(InitImageRefused):
        pipe.encode_prompt("a photo", image=listed())


def test_prompt_embeddings_made_elsewhere_are_refused(gate: Gate) -> None:
    embeds, _ = made("Qwen edit").encode_prompt("a photo", image=listed())
    call = arguments("Qwen edit", unlisted(), None) | {"prompt": None, "prompt_embeds": embeds}
    assert refusal(protect(made("Qwen edit"), gate), **call) == "prompt_embeds"


def test_prompt_embeddings_of_a_picture_are_refused_without_the_block_that_makes_them(
    gate: Gate,
) -> None:
    blocks = QwenImageEditAutoBlocks()
    blocks.sub_blocks.pop("text_encoder")
    pipe = quiet(blocks.init_pipeline())
    parts = made("Qwen edit").components
    pipe.update_components(**{name: parts[name] for name in ("vae", "transformer", "scheduler")})
    embeds, mask = made("Qwen edit").encode_prompt("a photo", image=listed())
    call = {"image": unlisted(), "prompt_embeds": embeds, "prompt_embeds_mask": mask}
    assert refusal(protect(pipe, gate), **call) == "prompt_embeds"


def test_prompt_embeddings_made_elsewhere_are_refused_where_redux_makes_some(gate: Gate) -> None:
    pipe = protect(quiet(flux(FluxPipeline)), gate)
    assert refusal(pipe, prompt_embeds=torch.randn(1, 16, 32)) == "prompt_embeds"


def test_prompt_embeddings_of_text_made_behind_the_gate_pass(gate: Gate) -> None:
    def made_in_two(pipe: Any) -> Any:
        embeds, pooled, _ = pipe.encode_prompt("a photo", None, max_sequence_length=16)
        text = {"prompt_embeds": embeds, "pooled_prompt_embeds": pooled}
        return result(quiet(pipe), **text, num_inference_steps=2, height=64, width=64)

    bare = made_in_two(flux(FluxPipeline))
    assert np.array_equal(bare, made_in_two(protect(flux(FluxPipeline), gate)))


@pytest.mark.parametrize(
    ("cls", "holds"),
    [
        (QwenImagePipeline, True),
        (FluxImg2ImgPipeline, True),
        (QwenImageEditModularPipeline, True),
        (StableDiffusionXLPipeline, False),
        (PixArtAlphaPipeline, False),
        (LTXPipeline, False),
    ],
)
def test_text_holds_pictures_where_a_pipeline_of_the_family_puts_them_there(
    cls: type, holds: bool
) -> None:
    assert text_holds_images(cls) is holds


# ── Video ─────────────────────────────────────────────────────────────────────────────────────


def stacked(pictures: list[Image.Image]) -> Any:
    """As diffusers takes a video's arrays: [F, H, W, 3] in 0..1."""
    return np.stack([np.asarray(one, np.float32) for one in pictures]) / 255


VIDEOS: dict[str, Callable[[list[Image.Image]], Any]] = {
    "frames": lambda pictures: pictures,
    "videos of frames": lambda pictures: [pictures],
    "array": stacked,
    "array of videos": lambda pictures: stacked(pictures)[None],
    "arrays": lambda pictures: list(stacked(pictures)),
    "tensor": lambda pictures: torch.from_numpy(stacked(pictures)).permute(0, 3, 1, 2),
    "tensor of videos": lambda pictures: torch.from_numpy(stacked(pictures)).permute(0, 3, 1, 2)[
        None
    ],
}


@pytest.mark.parametrize("shape", VIDEOS)
def test_refuses_a_video_whose_last_frame_is_listed(shape: str, gate: Gate) -> None:
    call = arguments("Wan video to video", unlisted(), None) | {"video": VIDEOS[shape](frames())}
    assert refusal(protect(made("Wan video to video"), gate), **call).startswith("video")


@pytest.mark.parametrize("shape", VIDEOS)
def test_gives_the_same_result_for_an_unlisted_video(shape: str, gate: Gate) -> None:
    call = arguments("Wan video to video", unlisted(), None)
    call["video"] = VIDEOS[shape]([unlisted().rotate(n) for n in range(FRAMES)])
    bare = result(made("Wan video to video"), **call)
    assert np.array_equal(bare, result(protect(made("Wan video to video"), gate), **call))


# A latent frame a picture and one for every four more.
@pytest.mark.parametrize("length", [1, 5, 9])
def test_latents_of_a_video_pass_on(length: int, gate: Gate) -> None:
    pipe = protect(made("Wan video to video"), gate)
    call = arguments("Wan video to video", unlisted(), None) | {"video": [unlisted()] * length}
    latents = pipe(**call, output_type="latent").frames
    del call["video"]
    assert np.isfinite(result(pipe, **call, latents=latents)).all()


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor:FutureWarning")
def test_latents_that_went_in_as_a_video_do_not_come_out_as_the_gates_own(gate: Gate) -> None:
    """A step that only lays a video out anew is no model: its output is what went in."""
    pipe = protect(made("Wan video to video"), gate)
    prepare = protect(wan_vace(pipe.vae, pipe.scheduler), gate)
    latents = torch.randn(1, 16, 2, 8, 12)
    noise = latents.reshape(1, 3, 4, 16, 16).permute(0, 2, 1, 3, 4)
    out, *_ = prepare.preprocess_conditions(video=noise, height=16, width=16, dtype=torch.float32)
    call = arguments("Wan video to video", unlisted(), None) | {"height": 64, "width": 96}
    del call["video"]
    assert torch.equal(out.reshape(latents.shape), latents)
    assert refusal(pipe, **call, latents=out.reshape(latents.shape)) == "latents"


# ── Latents that are decoded ──────────────────────────────────────────────────────────────────


@pytest.fixture
def decoding_gate(make_gate: MakeGate) -> Gate:
    known = make_list([np.asarray(listed())])
    return make_gate([known], encoded=Encoded.DECODE)


@pytest.fixture
def decoding(decoding_gate: Gate) -> Any:
    """A pipeline whose autoencoder gives pictures back."""
    pipe = tiny_img2img()
    pipe.register_modules(vae=seeing_vae())
    return protect(pipe, decoding_gate)


def encoded(image: Image.Image, *, scale: float = 1.0) -> Any:
    vae = seeing_vae()
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        return vae.encode(pixels).latent_dist.mode() * scale


@pytest.mark.parametrize("scale", [1.0, 0.18215])
def test_latents_of_a_listed_picture_are_refused_when_decoded(
    scale: float, decoding: Any, decoding_gate: Gate
) -> None:
    with pytest.raises(InitImageRefused):
        decoding("a", encoded(listed(), scale=scale))
    assert decoding_gate.journal.sink.last(1)[0].event["reason"] == Reason.MATCH


def test_latents_of_an_unlisted_picture_pass_when_decoded(decoding: Any) -> None:
    decoding("a", encoded(unlisted()), strength=0.5, num_inference_steps=2)


@pytest.mark.parametrize(
    "value",
    [torch.randn(2, 64, 16), torch.randn(1, 9, 8, 8), np.zeros((1, 4, 8, 8), np.float32)],
    ids=["packed", "of another autoencoder", "an array"],
)
def test_latents_that_cannot_be_decoded_are_refused(value: Any, decoding: Any) -> None:
    assert refusal(decoding, prompt="a", image=value) == "image"


def test_latents_of_a_video_are_decoded(decoding_gate: Gate) -> None:
    pipe = protect(made("Wan video to video"), decoding_gate)
    call = arguments("Wan video to video", unlisted(), None)
    del call["video"]
    result(pipe, **call, latents=torch.randn(1, 16, 2, 4, 4))
    assert refusal(pipe, **call, latents=torch.randn(1, 8, 2, 4, 4)) == "latents"


# ── From one pipeline to the next ─────────────────────────────────────────────────────────────


def latents_of(base: Any, count: int) -> Any:
    call = arguments("SDXL base", None, None)
    return base(**call, num_images_per_prompt=count, output_type="latent").images


def refine(refiner: Any, latents: Any, count: int = 1) -> Any:
    call = arguments("SDXL img2img", latents, None)
    for name in ("prompt_embeds", "pooled_prompt_embeds"):
        call[name] = call[name].expand(count, *call[name].shape[1:])
    return result(refiner, **call)


HANDED: dict[str, tuple[int, int, Callable[[Any], Any]]] = {
    "as they are": (1, 1, lambda latents: latents),
    "the first, as the docs do": (1, 1, lambda latents: latents[0][None, :]),
    "a batch": (2, 2, lambda latents: latents),
    "one of a batch": (2, 1, lambda latents: latents[1][None, :]),
    "one of a batch, sliced": (2, 1, lambda latents: latents[1:]),
    "several of a batch": (3, 2, lambda latents: latents[1:]),
    "batched anew": (2, 2, lambda latents: torch.stack([latents[1], latents[0]])),
}
"""How many are made, how many are refined, and which."""


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("handed", HANDED)
def test_latents_go_from_base_to_refiner(handed: str, guard: str, gate: Gate) -> None:
    count, kept, choose = HANDED[handed]
    bare = refine(quiet(sdxl()), choose(latents_of(made("SDXL base"), count)), kept)
    base, refiner = made("SDXL base"), quiet(sdxl())
    for pipe in (base, refiner):
        GUARDS[guard](pipe, gate)
    assert np.array_equal(bare, refine(refiner, choose(latents_of(base, count)), kept))


@pytest.mark.parametrize("guard", GUARDS)
def test_latents_of_a_foreign_pipeline_are_refused(guard: str, gate: Gate) -> None:
    foreign = latents_of(made("SDXL base"), 1)
    base, refiner = made("SDXL base"), quiet(sdxl())
    for pipe in (base, refiner):
        GUARDS[guard](pipe, gate)
    latents_of(base, 2)
    assert refusal(refiner, **arguments("SDXL img2img", foreign + 1, None)) == "image"


def test_latents_changed_on_the_way_are_refused(gate: Gate) -> None:
    base, refiner = protect(made("SDXL base"), gate), protect(quiet(sdxl()), gate)
    latents = latents_of(base, 1)
    latents[0, 0, 0, 0] += 1
    assert refusal(refiner, **arguments("SDXL img2img", latents, None)) == "image"


def test_one_foreign_latent_among_those_handed_on_is_refused(gate: Gate) -> None:
    base, refiner = protect(made("SDXL base"), gate), protect(quiet(sdxl()), gate)
    latents = latents_of(base, 1)
    mixed = torch.cat([latents, latents + 1])
    assert refusal(refiner, **arguments("SDXL img2img", mixed, None)) == "image"


def test_flux_latents_pass_on(gate: Gate) -> None:
    pipe = protect(made("Flux Kontext"), gate)
    call = arguments("Flux Kontext", unlisted(), None)
    latents = pipe(**call, output_type="latent").images
    assert np.isfinite(result(pipe, **call, latents=latents)).all()


# ── Modular pipelines ─────────────────────────────────────────────────────────────────────────


def state_of(**values: Any) -> PipelineState:
    state = PipelineState()
    for name, value in values.items():
        state.set(name, value)
    return state


@pytest.mark.parametrize("guard", GUARDS)
def test_refuses_a_listed_image_in_the_state(guard: str, gate: Gate) -> None:
    pipe = made("Flux modular")
    GUARDS[guard](pipe, gate)
    call = arguments("Flux modular", listed(), None)
    state = state_of(image=call.pop("image"))
    assert refusal(pipe, state=state, **call) == "state.values[image]"


def test_refuses_latents_in_the_state(gate: Gate) -> None:
    call = arguments("Flux modular", unlisted(), None)
    state = state_of(image_latents=torch.randn(1, 4, 32, 32))
    pipe = protect(made("Flux modular"), gate)
    assert refusal(pipe, state=state, **call) == "state.values[image_latents]"


@pytest.mark.parametrize("guard", GUARDS)
def test_gives_the_same_result_for_an_unlisted_image_in_the_state(guard: str, gate: Gate) -> None:
    call = arguments("Flux modular", unlisted(), None)
    bare = result(made("Flux modular"), **call)
    pipe = made("Flux modular")
    GUARDS[guard](pipe, gate)
    state = state_of(image=call.pop("image"))
    assert np.array_equal(bare, result(pipe, state=state, **call))
    assert np.array_equal(np.asarray(state.get("image")), np.asarray(unlisted()))


def split() -> tuple[Any, Any]:
    """Modular Flux in two: what encodes the image, and the rest."""
    rest = flux_modular("text_encoder", "denoise", "decode")
    return quiet(flux_modular("vae_encoder")), quiet(rest)


PASSED_ON: dict[str, Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    "as a tensor": lambda encode, call: {
        "image_latents": encode(**call, output="image_latents"),
    },
    "as a dictionary": lambda encode, call: encode(**call, output=["image_latents"]),
    "as a state's value": lambda encode, call: {
        "image_latents": encode(**call).get("image_latents")
    },
    "as a state": lambda encode, call: {"state": encode(**call)},
}


@pytest.mark.parametrize("way", PASSED_ON)
def test_latents_go_from_block_to_block(way: str, gate: Gate) -> None:
    call = arguments("Flux modular", unlisted(), None)
    first = {name: call[name] for name in ("image", "height", "width", "generator")}
    del call["image"]
    encode, rest = split()
    bare = result(rest, **call, **PASSED_ON[way](encode, first))
    call["generator"].manual_seed(0)
    encode, rest = split()
    protect(encode, gate)
    protect(rest, gate)
    assert np.array_equal(bare, result(rest, **call, **PASSED_ON[way](encode, first)))


def test_a_listed_image_is_not_encoded_by_a_block_of_its_own(gate: Gate) -> None:
    encode, _ = split()
    protect(encode, gate)
    with pytest.raises(InitImageRefused):
        encode(image=listed(), height=64, width=64)


def foreign_latents() -> Any:
    """What an attacker's own autoencoder makes of a listed picture."""
    encode, _ = split()
    return encode(
        image=listed(),
        height=64,
        width=64,
        generator=torch.Generator().manual_seed(0),
        output="image_latents",
    )


@pytest.mark.parametrize("batch", [1, 2], ids=["whole", "in a batch"])
def test_latents_that_went_in_as_text_do_not_come_out_as_the_gates_own(
    batch: int, gate: Gate
) -> None:
    pipe = protect(tiny_img2img(), gate)
    latents = torch.randn(1, 4, 32, 32)
    text = latents.reshape(batch, -1, 16)
    given, _ = pipe.encode_prompt(None, "cpu", 2 // batch, False, prompt_embeds=text)  # noqa: FBT003  # theirs
    assert torch.equal(given[0].flatten(), text[0].flatten())
    assert refusal(pipe, image=given[:batch].reshape(latents.shape)) == "image"


@pytest.mark.filterwarnings("ignore:Passing `image` as torch tensor:FutureWarning")
@pytest.mark.parametrize("output", [None, "image"])
def test_latents_that_went_in_as_a_picture_do_not_come_out_as_the_gates_own(
    output: str | None, gate: Gate
) -> None:
    """Of three planes, one the latents: a picture of noise, which the gate allows."""
    pipe = protect(made("Flux modular"), gate)
    latents = foreign_latents()
    call = arguments("Flux modular", unlisted(), None)
    pipe(**call | {"image": latents.reshape(1, 64, 64).repeat(3, 1, 1)}, output=output)
    del call["image"]
    assert refusal(pipe, **call, image_latents=latents) == "image_latents"


def test_an_image_set_on_a_returned_state_is_looked_at(gate: Gate) -> None:
    pipe = protect(made("Flux modular"), gate)
    call = arguments("Flux modular", unlisted(), None)
    state = pipe(**call)
    state.set("image", listed())
    assert refusal(pipe, state=state).startswith("state.values")
