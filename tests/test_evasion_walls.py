"""The walls behind the first: what reaches a model by another way than a looked-at argument."""

from __future__ import annotations

import copy
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import MakeGate
from PIL import Image

from initgate import Allowed, Gate, InitImageRefused
from initgate.testing import make_list, scene

pytest.importorskip("diffusers", exc_type=ImportError)

import torch  # after the skip
from diffusers import (  # the same
    DDPMScheduler,
    FluxPipeline,
    IFSuperResolutionPipeline,
    KandinskyPriorPipeline,
    QwenImageEditPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLPipeline,
)
from pipelines import MORE, arguments, classic, controlnet_model, flux, flux_modular, sdxl

from initgate.integrations.diffusers import install, protect, uninstall
from initgate.integrations.diffusers.admission import Admission
from initgate.integrations.diffusers.callbacks import outside_the_call
from initgate.integrations.diffusers.emitted import Emitted
from initgate.integrations.diffusers.families import text_holds_images
from initgate.integrations.diffusers.roles import Role, is_way_in, role_of
from initgate.integrations.tiny import CallCounter, tiny_img2img, tiny_unet, tiny_vae

pytestmark = pytest.mark.diffusers

SMALL, LARGE = 64, 512


@pytest.fixture(autouse=True)
def _nothing_stays_installed() -> Iterator[None]:
    yield
    uninstall()
    torch.compiler.reset()


@pytest.fixture
def gate(make_gate: MakeGate) -> Gate:
    """One whose list holds a scene, at the size that the models see."""
    return make_gate([make_list([np.asarray(drawn(1))])])


def drawn(seed: int, side: int = SMALL) -> Image.Image:
    return Image.fromarray(scene(seed)).resize((side, side))


def tensor(image: Image.Image) -> Any:
    """[1, 3, H, W] in 0..1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255


def hidden(side: int = LARGE) -> Any:
    """A harmless large picture that is the listed one when shrunk by nearest neighbours."""
    large = tensor(drawn(2, side))
    step = LARGE // SMALL
    large[:, :, ::step, ::step] = tensor(drawn(1))
    return large


def latents_of(image: Image.Image) -> Any:
    vae = tiny_vae()
    with torch.no_grad():
        return vae.encode(tensor(image) * 2 - 1).latent_dist.mode() * vae.config.scaling_factor


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipe: Any, image: Any, **more: Any) -> Any:
    return pipe("a", image=image, strength=0.9, num_inference_steps=2, **more)


def shrinking(vae: Any = None) -> Any:
    """An img2img pipeline that shrinks what it is given, as Flux's does."""

    class Shrinking(StableDiffusionImg2ImgPipeline):  # type: ignore[misc]  # untyped base
        def __call__(self, image: Any, *, method: str = "encode") -> Any:
            small = self.image_processor.preprocess(image, height=SMALL, width=SMALL)
            return getattr(self.vae, method)(small)

    made = Shrinking(**tiny_img2img().components, requires_safety_checker=False)
    if vae is not None:
        made.vae = vae
    return made


def test_the_hidden_picture_is_harmless_as_it_comes_in(gate: Gate) -> None:
    assert isinstance(gate.check(hidden().numpy()), Allowed)
    assert not isinstance(gate.check(hidden()[:, :, ::8, ::8].numpy()), Allowed)


# ── Every model that takes a picture looks at it ──────────────────────────────────────────────


@pytest.mark.parametrize("is_compiled", [False, True], ids=["eager", "compiled"])
def test_each_of_several_controlnets_looks(is_compiled: bool, gate: Gate) -> None:
    nets = [controlnet_model(), controlnet_model()]
    made = classic(
        lambda **more: StableDiffusionControlNetPipeline(controlnet=nets, **more), in_channels=4
    )
    protect(quiet(made), gate)
    if is_compiled:
        made.controlnet.compile(backend="eager")
    with pytest.raises(InitImageRefused) as raised:
        made("a", [tensor(drawn(2)), hidden()], height=SMALL, width=SMALL)
    assert raised.value.argument == "controlnet"


class Plain(torch.nn.Module):
    """An autoencoder that is no model of diffusers."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = tiny_vae()

    def encode(self, pixels: Any) -> Any:
        return self.inner.encode(pixels)


def compiled() -> Any:
    vae = tiny_vae()
    vae.encode = torch.compile(vae.encode, backend="eager")
    return vae


AUTOENCODERS: dict[str, Callable[[], Any]] = {
    "another": tiny_vae,
    "a copy": lambda: copy.deepcopy(tiny_vae()),
    "a foreign class": Plain,
    "a compiled encode": compiled,
    "a compiled model": lambda: torch.compile(tiny_vae(), backend="eager"),
}


@pytest.mark.parametrize("guard", [protect, lambda _pipe, gate: install(gate)])
@pytest.mark.parametrize("vae", AUTOENCODERS)
def test_an_autoencoder_put_in_later_looks(vae: str, guard: Callable[..., Any], gate: Gate) -> None:
    pipe = shrinking()
    guard(pipe, gate)
    pipe.vae = AUTOENCODERS[vae]()
    with pytest.raises(InitImageRefused):
        pipe(hidden())


def test_an_autoencoder_looks_whatever_method_is_called(gate: Gate) -> None:
    with pytest.raises(InitImageRefused):
        protect(shrinking(), gate)(hidden(), method="_encode")


def test_the_autoencoder_of_a_modular_pipeline_looks_if_it_came_after_protect(gate: Gate) -> None:
    models = flux_modular()
    pipe = flux_modular("vae_encoder")
    pipe.vae = None
    protect(pipe, gate)
    pipe.update_components(vae=models.vae)
    with pytest.raises(InitImageRefused):
        pipe(image=hidden(), height=SMALL, width=SMALL)


def super_resolution() -> Any:
    unet = tiny_unet(in_channels=6, out_channels=6, class_embed_type="timestep")
    return IFSuperResolutionPipeline(
        tokenizer=None,
        text_encoder=None,
        unet=unet,
        scheduler=DDPMScheduler(variance_type="learned_range"),
        image_noising_scheduler=DDPMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )


def test_a_denoiser_of_pixels_looks_at_the_picture_beside_its_noise(gate: Gate) -> None:
    pipe = protect(quiet(super_resolution()), gate)

    def call(image: Any) -> None:
        text = {name: torch.randn(1, 8, 16) for name in ("prompt_embeds", "negative_prompt_embeds")}
        size = {"height": SMALL, "width": SMALL}
        pipe(**text, **size, image=image * 2 - 1, num_inference_steps=1, noise_level=0)

    call(tensor(drawn(2)))
    with pytest.raises(InitImageRefused) as raised:
        call(hidden(505))  # its corners are aligned: 8 × 63 + 1
    assert raised.value.argument == "unet"


@pytest.mark.parametrize("shape", ["HW", "NHW", "NHWC", "HWC"])
def test_an_array_is_a_mask_with_or_without_batch_and_channels(shape: str, gate: Gate) -> None:
    pipe = protect(quiet(classic(StableDiffusionInpaintPipeline, in_channels=9)), gate)

    def call(seed: int) -> None:
        mask = np.asarray(drawn(seed).convert("L"), np.float32) / 255
        axes = {"HW": ..., "NHW": np.s_[None], "NHWC": np.s_[None, ..., None]}
        mask = mask[axes.get(shape, np.s_[..., None])]
        run(pipe, drawn(2), mask_image=mask, height=SMALL, width=SMALL)

    with pytest.raises(InitImageRefused):
        call(1)
    if shape in {"HW", "NHW"}:  # what the pipeline itself takes
        call(2)


# ── Ordinary ways of running ──────────────────────────────────────────────────────────────────


def test_inference_mode_changes_nothing(gate: Gate) -> None:
    pipe = protect(tiny_img2img(), gate)
    with torch.inference_mode():
        run(pipe, drawn(2))
        with pytest.raises(InitImageRefused):
            run(pipe, drawn(1))


def test_a_compiled_autoencoder_changes_nothing(gate: Gate) -> None:
    pipe = tiny_img2img()
    pipe.vae = torch.compile(pipe.vae, backend="eager")
    run(protect(pipe, gate), drawn(2))


@pytest.mark.parametrize("is_first", [True, False], ids=["compiled, protected", "the other way"])
def test_a_denoiser_compiled_whole_runs_only_inside_a_gated_call(
    is_first: bool, gate: Gate
) -> None:
    pipe = tiny_img2img()
    if is_first:
        pipe.unet.compile(backend="eager", fullgraph=True)
    protect(pipe, gate)
    if not is_first:
        pipe.unet.compile(backend="eager", fullgraph=True)
    run(pipe, drawn(2))
    with pytest.raises(Exception, match=r"refused|Unsupported"):
        pipe.unet(torch.randn(1, 4, 8, 8), 1, torch.randn(1, 16, 16))


def test_a_second_install_replaces_the_gate_everywhere(gate: Gate, make_gate: MakeGate) -> None:
    pipe = quiet(MORE["IP-adapter"]())
    install(gate)
    run(pipe, drawn(2), ip_adapter_image=drawn(3))
    install(make_gate([make_list([np.asarray(drawn(4, 32))])]))
    with pytest.raises(InitImageRefused):
        pipe.image_encoder(tensor(drawn(4, 32)))


def test_what_a_gate_with_other_lists_let_in_is_foreign(gate: Gate, make_gate: MakeGate) -> None:
    pipe = tiny_img2img()
    install(gate)
    latents = run(pipe, drawn(2), output_type="latent").images
    run(pipe, latents)
    install(make_gate([make_list([np.asarray(drawn(2))])]))
    with pytest.raises(InitImageRefused):
        run(pipe, latents)


def test_nothing_of_a_call_is_kept_and_a_pipeline_can_go(gate: Gate) -> None:
    pipe = protect(tiny_img2img(), gate)
    vae = pipe.vae
    image = tensor(drawn(5))
    run(pipe, image)
    gone = [weakref.ref(one) for one in (pipe, pipe.unet)]
    del pipe
    gc.collect()
    assert [one() for one in gone] == [None, None]
    assert vae is not None
    held = [one for one in gc.get_objects() if type(one) is torch.Tensor]
    same = [one for one in held if one.shape == image.shape and torch.equal(one, image)]
    assert len(same) == 1  # this test's own


class Stateful:
    """A callback that keeps what it sees."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe
        self.me = self
        self.seen: list[Any] = []

    def __call__(self, _pipe: Any, _step: int, _time: Any, held: Any) -> Any:
        self.seen.append(held["latents"].clone())
        return held


def test_a_callback_object_may_keep_what_it_sees(gate: Gate) -> None:
    pipe = protect(tiny_img2img(), gate)
    callback = Stateful(pipe)
    for _ in range(2):
        run(pipe, drawn(2), callback_on_step_end=callback)
    assert callback.seen


class _Popping:
    def pop(self, _name: str, latents: Any) -> Any:
        return torch.randn_like(latents)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers deprecates the old kind
@pytest.mark.parametrize(
    "callback",
    [
        {"callback": lambda _step, _time, latents: latents.mul_(0), "callback_steps": 1},
        {"callback_on_step_end": lambda *_: _Popping()},
    ],
    ids=["in place, the old kind", "no mapping"],
)
def test_refuses_other_ways_for_a_callback_to_bring_in_latents(
    callback: dict[str, Any], gate: Gate
) -> None:
    with pytest.raises(InitImageRefused):
        run(protect(tiny_img2img(), gate), drawn(2), **callback)


# ── Foreign latents do not become the gate's own ──────────────────────────────────────────────


def cast_as_text(_vae: Any, latents: Any, gate: Gate) -> Any:
    pipe = protect(tiny_img2img().to(torch.float16), gate)
    text = latents.reshape(1, -1, 16)
    made, _ = pipe.encode_prompt(None, "cpu", 1, False, prompt_embeds=text)  # noqa: FBT003  # theirs
    return made.reshape(latents.shape)


def shrunk_as_a_mask(_vae: Any, latents: Any, gate: Gate) -> Any:
    pipe = protect(classic(StableDiffusionInpaintPipeline, in_channels=9), gate)
    scale, (height, width) = pipe.vae_scale_factor, latents.shape[-2:]
    noise = torch.randn(1, 4, height * scale, width * scale)
    noise[:, :, ::scale, ::scale] = latents
    size = (height * scale, width * scale)
    made, _ = pipe.prepare_mask_latents(
        noise,
        tensor(drawn(2)),
        1,
        *size,
        torch.float32,
        "cpu",
        None,
        do_classifier_free_guidance=False,
    )
    assert torch.equal(made, latents)
    return made


def repeated_as_pooled_text(_vae: Any, latents: Any, gate: Gate) -> Any:
    pipe = protect(sdxl(StableDiffusionXLPipeline), gate)
    made = pipe.encode_prompt(
        "a",
        num_images_per_prompt=2,
        do_classifier_free_guidance=False,
        prompt_embeds=torch.randn(1, 8, 16),
        pooled_prompt_embeds=latents.flatten()[None],
        device="cpu",
    )
    return made[2][:1].reshape(latents.shape)


@pytest.mark.parametrize("launder", [cast_as_text, shrunk_as_a_mask, repeated_as_pooled_text])
def test_foreign_latents_stay_foreign_after_a_step_that_only_lays_them_out_anew(
    launder: Callable[[Any, Any, Gate], Any], gate: Gate
) -> None:
    pipe = protect(tiny_img2img(), gate)
    counter = CallCounter.on(pipe)
    latents = launder(pipe.vae, latents_of(drawn(1)), gate)
    with pytest.raises(InitImageRefused):
        run(pipe, latents)
    assert counter.denoise == 0


@pytest.mark.parametrize(
    ("name", "array", "is_unseen"),
    [
        ("sigmas", np.array([1.0, 0.5]), False),
        ("image", np.zeros((1, 8, 8, 3)), False),
        ("prompt_embeds", torch.zeros(1, 8, 16), True),
        ("mask_image", torch.zeros(1, 1, 8, 8), True),
    ],
)
def test_what_a_step_gives_out_is_foreign_if_it_was_given_numbers_that_nobody_looked_at(
    name: str, array: Any, is_unseen: bool, gate: Gate
) -> None:
    def call(self: Any, **held: Any) -> None: ...

    bound = inspect.signature(call).bind(None, **{name: array})
    admission = Admission(gate, tiny_img2img(), emitted=Emitted(), wrap_callback=outside_the_call)
    admission.admit(bound)
    assert admission.has_unseen is is_unseen


def test_latents_of_one_frame_are_no_grey_video(gate: Gate) -> None:
    pipe = protect(MORE["Qwen edit"](), gate)
    call = arguments("Qwen edit", None, None) | {"image": torch.randn(1, 4, 1, 8, 8)}
    with pytest.raises(InitImageRefused):
        pipe(**call)


# ── Names ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name",
    [
        "prior_token_image_ids",
        "id_cond",
        "x0_tokens_vision",
        "condition_clip_context",
        "first_frame_tokens",
        "memory_video_tokens",
        "condition_rows",
        "initial_noise",
        "image_prompt_embeds",
    ],
)
def test_what_is_made_of_pictures_is_encoded_whatever_its_name(name: str) -> None:
    assert role_of(name) is Role.ENCODED


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("prompt_image", Role.PIXELS),
        ("images_and_prompts", Role.PIXELS),
        ("kps_cond", Role.PIXELS),
        ("prompt_embeds", Role.OTHER),
        ("prompt_attention_mask", Role.OTHER),
        ("initial_audio_waveforms", Role.OTHER),
        ("c2w", Role.OTHER),
        ("noise_level", Role.OTHER),
    ],
)
def test_a_name_tells_pictures_from_text_and_sound(name: str, role: Role) -> None:
    assert role_of(name) is role


def test_methods_that_take_pictures_with_prompts_are_ways_in() -> None:
    assert is_way_in("interpolate", KandinskyPriorPipeline.interpolate)
    assert is_way_in("encode_prompt", QwenImageEditPipeline.encode_prompt)


def test_text_holds_pictures_in_a_pipeline_of_another_family_with_such_models() -> None:
    pipe = tiny_img2img()
    assert not text_holds_images(pipe)
    pipe.transformer = flux(FluxPipeline).transformer
    assert text_holds_images(pipe)
