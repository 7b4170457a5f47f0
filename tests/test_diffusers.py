"""The gate in front of real pipelines: refused before any model runs, else bit for bit the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from samples import LISTED, photo

from initgate import Gate, InitImageRefused
from initgate.audit.chain import verify

pytest.importorskip("diffusers", exc_type=ImportError)

import torch  # after the skip
from diffusers import (  # the same
    AutoPipelineForInpainting,
    DiffusionPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
)
from pipelines import PIPELINES, arguments  # the same

from initgate.integrations.diffusers import install, protect, uninstall
from initgate.integrations.tiny import CallCounter, tiny_img2img

pytestmark = pytest.mark.diffusers

SIDE = 128
MASK = Image.new("L", (SIDE, SIDE), 255)


def listed() -> Image.Image:
    return photo("astronaut").resize((SIDE, SIDE))


def unlisted() -> Image.Image:
    return photo("flower").resize((SIDE, SIDE))


def tensor(image: Image.Image) -> Any:
    """As diffusers takes tensors: [1, 3, H, W] in -1..1."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1


def array(image: Image.Image) -> Any:
    """As diffusers takes arrays: [1, H, W, 3] in 0..1."""
    return np.asarray(image, np.float32)[None] / 255


SHAPES: dict[str, Callable[[Image.Image], Any]] = {
    "PIL": lambda image: image,
    "array": array,
    "uint8 array": np.asarray,
    "tensor": tensor,
    "half tensor": lambda image: tensor(image).half(),
    "CLIP-normalised tensor": lambda image: (
        (
            (torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255)
            - torch.tensor([0.481, 0.458, 0.408])[:, None, None]
        )
        / torch.tensor([0.269, 0.261, 0.276])[:, None, None]
    ),
    "list": lambda image: [unlisted(), image],
    "nested list": lambda image: [[unlisted()], [image]],
    "tuple": lambda image: (image,),
    "dictionary": lambda image: {"image": image},
    "iterator": lambda image: iter([image]),
}


@pytest.fixture(autouse=True)
def _nothing_stays_installed() -> Iterator[None]:
    yield
    uninstall()


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def refusal(pipe: Any, *args: Any, **kwargs: Any) -> InitImageRefused:
    """The refusal of a call, after which no model of the pipeline has run."""
    counter = CallCounter.on(pipe)
    with pytest.raises(InitImageRefused) as raised:
        pipe(*args, **kwargs)
    assert (counter.denoise, counter.encode, counter.decode) == (0, 0, 0)
    return raised.value


# ── Every pipeline ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PIPELINES)
def test_refuses_a_listed_init_image_before_any_model_runs(
    name: str, shape: str, gate: Gate
) -> None:
    pipe = protect(quiet(PIPELINES[name]()), gate)
    assert refusal(pipe, **arguments(name, SHAPES[shape](listed()), MASK)).argument.startswith(
        "image"
    )


@pytest.mark.parametrize("name", PIPELINES)
def test_gives_the_same_result_bit_for_bit_for_an_unlisted_image(name: str, gate: Gate) -> None:
    call = arguments(name, unlisted(), MASK)
    bare = quiet(PIPELINES[name]())(**call, output_type="np").images
    call["generator"].manual_seed(0)
    protected = protect(quiet(PIPELINES[name]()), gate)(**call, output_type="np").images
    assert np.array_equal(bare, protected)


@pytest.mark.parametrize("kind", ["image", "tensor"])
@pytest.mark.parametrize("name", PIPELINES)
def test_refuses_latents_in_place_of_the_image(name: str, kind: str, gate: Gate) -> None:
    pipe = protect(quiet(PIPELINES[name]()), gate)
    latents = torch.randn(1, 4, 32, 32)
    value = [latents] if kind == "image" else latents
    refusal(pipe, **arguments(name, value, MASK))


@pytest.mark.parametrize("name", PIPELINES)
def test_refuses_a_picture_whose_channels_would_be_taken_for_latents(name: str, gate: Gate) -> None:
    pipe = protect(quiet(PIPELINES[name]()), gate)
    refusal(pipe, **arguments(name, unlisted().convert("RGBA"), MASK))


@pytest.mark.parametrize("name", [name for name in PIPELINES if name != "InstructPix2Pix"])
def test_refuses_starting_latents(name: str, gate: Gate) -> None:
    pipe = quiet(PIPELINES[name]())
    if "latents" not in inspect.signature(pipe.__call__).parameters:
        assert name == "Stable Diffusion img2img"
        return
    call = arguments(name, unlisted(), MASK) | {"latents": torch.randn(1, 4, 32, 32)}
    assert refusal(protect(pipe, gate), **call).argument == "latents"


# ── Every argument ────────────────────────────────────────────────────────────────────────────


def test_refuses_an_image_given_by_position(gate: Gate) -> None:
    assert refusal(protect(tiny_img2img(), gate), "a photo", listed()).argument == "image"


def test_refuses_a_listed_mask(gate: Gate) -> None:
    pipe = protect(quiet(PIPELINES["inpaint"]()), gate)
    call = arguments("inpaint", unlisted(), listed())
    assert refusal(pipe, **call).argument == "mask_image"


def test_refuses_a_listed_mask_among_the_channels_of_a_tensor(gate: Gate) -> None:
    pipe = protect(quiet(PIPELINES["inpaint"]()), gate)
    masks = torch.from_numpy(np.stack([np.asarray(x.convert("L")) for x in (unlisted(), listed())]))
    assert refusal(pipe, **arguments("inpaint", unlisted(), masks[None] / 255)).argument == (
        "mask_image"
    )


@pytest.mark.parametrize("name", ["ip_adapter_image", "control_image", "anything_at_all"])
def test_refuses_a_listed_image_under_any_name(name: str, gate: Gate) -> None:
    refused = refusal(protect(tiny_img2img(), gate), "a", unlisted(), **{name: [[listed()]]})
    assert refused.argument == f"{name}[0][0]"


def test_refuses_image_embeddings(gate: Gate) -> None:
    embeds = [torch.randn(1, 1, 16)]
    refused = refusal(
        protect(tiny_img2img(), gate), "a", unlisted(), ip_adapter_image_embeds=embeds
    )
    assert refused.argument == "ip_adapter_image_embeds[0]"


@pytest.mark.parametrize("value", ["x.png", "https://example.org/x.png", b"\x89PNG"])
def test_refuses_what_the_pipeline_would_have_to_open_itself(value: object, gate: Gate) -> None:
    refusal(protect(tiny_img2img(), gate), "a photo", value)


def test_text_conditioning_passes(gate: Gate) -> None:
    pipe = protect(tiny_img2img(), gate)
    embeds = torch.randn(1, 16, 16)
    pipe(
        image=unlisted(),
        prompt_embeds=embeds,
        negative_prompt_embeds=embeds,
        strength=0.5,
        num_inference_steps=2,
    )


def test_a_call_that_does_not_fit_the_signature_is_the_callers_error(gate: Gate) -> None:
    with pytest.raises(TypeError, match="multiple values"):
        protect(tiny_img2img(), gate)("a", listed(), image=listed())


# ── What was checked is what is used ──────────────────────────────────────────────────────────


def test_a_file_swapped_after_the_check_is_not_read_again(gate: Gate, tmp_path: Path) -> None:
    file = tmp_path / "image.bmp"
    unlisted().save(file)
    seen = []

    class Spy(StableDiffusionImg2ImgPipeline):  # type: ignore[misc]  # untyped base
        def __call__(self, _prompt: str, image: Any) -> None:
            listed().save(file)
            seen.append(np.asarray(image))

    pipe = protect(Spy(**tiny_img2img().components, requires_safety_checker=False), gate)
    pipe("a", Image.open(file))
    assert np.array_equal(seen[0], np.asarray(unlisted()))


@pytest.mark.parametrize("shape", ["array", "tensor"])
def test_numbers_changed_after_the_check_change_nothing(shape: str, gate: Gate) -> None:
    given = SHAPES[shape](unlisted())
    seen = []

    class Spy(StableDiffusionImg2ImgPipeline):  # type: ignore[misc]  # untyped base
        def __call__(self, _prompt: str, image: Any) -> None:
            given[:] = SHAPES[shape](listed())
            seen.append(image)

    pipe = protect(Spy(**tiny_img2img().components, requires_safety_checker=False), gate)
    pipe("a", given)
    assert np.array_equal(np.asarray(seen[0]), np.asarray(SHAPES[shape](unlisted())))


def test_refuses_a_frame_that_the_pipeline_would_not_take(gate: Gate, tmp_path: Path) -> None:
    unlisted().save(tmp_path / "a.gif", save_all=True, append_images=[listed()])
    with Image.open(tmp_path / "a.gif") as animation:
        refusal(protect(tiny_img2img(), gate), "a", animation)


# ── The refusal ───────────────────────────────────────────────────────────────────────────────


def test_a_refusal_is_a_value_error_that_tells_id_and_argument_alone(gate: Gate) -> None:
    refused = refusal(protect(tiny_img2img(), gate), "a", listed())
    assert isinstance(refused, ValueError)
    (record,) = gate.journal.sink.last(1)
    assert record.event["decision_id"] == refused.decision_id
    assert str(refused) == (
        f"{InitImageRefused.MESSAGE} Decision id: {refused.decision_id} (argument: image)"
    )


def test_every_refusal_reads_the_same(gate: Gate) -> None:
    pipe = protect(tiny_img2img(), gate)
    causes = (listed(), torch.randn(1, 4, 8, 8), "x.png", np.full((4, 4), np.nan))
    refusals = [refusal(pipe, "a", cause) for cause in causes]
    assert len({str(one).replace(one.decision_id, "") for one in refusals}) == 1


def test_refusals_are_recorded_with_the_pipeline_in_a_whole_chain(gate: Gate) -> None:
    refusal(protect(tiny_img2img(), gate), "a", listed())
    records = list(gate.journal.sink.records())
    assert records[-1].event["endpoint"] == "StableDiffusionImg2ImgPipeline"
    assert verify(records).is_whole


# ── The pipeline stays what it is ─────────────────────────────────────────────────────────────


def test_protect_returns_the_same_pipeline(gate: Gate) -> None:
    pipe = tiny_img2img()
    assert protect(pipe, gate) is pipe
    assert type(pipe) is StableDiffusionImg2ImgPipeline


def test_signature_and_docstring_stay(gate: Gate) -> None:
    cls = StableDiffusionImg2ImgPipeline
    signature, doc = inspect.signature(cls.__call__), cls.__call__.__doc__
    protect(tiny_img2img(), gate)
    assert inspect.signature(cls.__call__) == signature
    assert cls.__call__.__doc__ == doc


def test_a_pipeline_moved_to_a_device_or_dtype_stays_protected(gate: Gate) -> None:
    refusal(protect(tiny_img2img(), gate).to("cpu").to(torch.float64), "a", listed())


def test_components_stay(gate: Gate) -> None:
    pipe = tiny_img2img()
    before = pipe.components
    assert protect(pipe, gate).components == before


def test_a_pipeline_loaded_from_where_a_protected_one_was_saved_is_protected_too(
    gate: Gate, tmp_path: Path
) -> None:
    protect(tiny_img2img(), gate).save_pretrained(tmp_path)
    refusal(quiet(StableDiffusionImg2ImgPipeline.from_pretrained(tmp_path)), "a", listed())
    refusal(quiet(AutoPipelineForInpainting.from_pretrained(tmp_path)), "a", listed())


def test_a_pipeline_loaded_from_elsewhere_is_left_alone_by_protect(
    gate: Gate, tmp_path: Path
) -> None:
    tiny_img2img().save_pretrained(tmp_path)
    protect(tiny_img2img(), gate)
    loaded = quiet(StableDiffusionImg2ImgPipeline.from_pretrained(tmp_path))
    loaded("a", listed(), strength=0.5, num_inference_steps=2)


def test_saves_like_before_and_a_pipeline_loaded_again_is_gated_when_installed(
    gate: Gate, tmp_path: Path
) -> None:
    protect(tiny_img2img(), gate).save_pretrained(tmp_path)
    install(gate)
    loaded = StableDiffusionImg2ImgPipeline.from_pretrained(tmp_path)
    refusal(quiet(loaded), "a", listed())


@pytest.mark.parametrize(
    "make",
    [
        StableDiffusionInpaintPipeline.from_pipe,
        AutoPipelineForInpainting.from_pipe,
        lambda pipe: StableDiffusionImg2ImgPipeline(
            **pipe.components, requires_safety_checker=False
        ),
    ],
    ids=["from_pipe", "AutoPipeline", "components"],
)
def test_a_pipeline_of_the_same_models_is_protected_too(
    make: Callable[[Any], Any], gate: Gate
) -> None:
    made = make(protect(tiny_img2img(), gate))
    refusal(quiet(made), prompt="a", image=listed())


def test_another_pipeline_is_left_alone_by_protect(gate: Gate) -> None:
    protect(tiny_img2img(), gate)
    tiny_img2img()("a", listed(), strength=0.5, num_inference_steps=2)


# ── The whole process ─────────────────────────────────────────────────────────────────────────


def test_install_covers_pipelines_made_before_and_after(gate: Gate) -> None:
    before = tiny_img2img()
    install(gate)
    for pipe in (before, tiny_img2img()):
        refusal(pipe, "a", listed())


def test_install_covers_a_class_defined_later(gate: Gate) -> None:
    install(gate)

    class Later(StableDiffusionImg2ImgPipeline):  # type: ignore[misc]  # untyped base
        def __call__(self, prompt: str, image: Any) -> Any:
            return super().__call__(prompt, image)

    refusal(Later(**tiny_img2img().components, requires_safety_checker=False), "a", listed())


def test_install_covers_the_unbound_method(gate: Gate) -> None:
    install(gate)
    cls = StableDiffusionImg2ImgPipeline
    with pytest.raises(InitImageRefused):
        cls.__call__(tiny_img2img(), "a", listed())


def test_installing_twice_checks_once(gate: Gate) -> None:
    install(gate)
    install(gate)
    refusal(tiny_img2img(), "a", listed())
    assert len(list(gate.journal.sink.records())) == 1


def test_uninstall_restores_the_classes(gate: Gate) -> None:
    cls = StableDiffusionImg2ImgPipeline
    original = cls.__call__
    install(gate)
    assert cls.__call__ is not original
    uninstall()
    assert cls.__call__ is original
    assert "__init_subclass__" not in vars(DiffusionPipeline)
    tiny_img2img()("a", listed(), strength=0.5, num_inference_steps=2)


@pytest.mark.parametrize("name", LISTED)
def test_refuses_every_listed_photo(name: str, gate: Gate) -> None:
    refusal(protect(tiny_img2img(), gate), "a", photo(name))
