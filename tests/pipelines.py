"""Real diffusers pipelines with random weights, small enough to run in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxImg2ImgPipeline,
    FluxTransformer2DModel,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionXLImg2ImgPipeline,
)

from initgate.integrations.tiny import tiny_img2img, tiny_text, tiny_unet, tiny_vae


def _classic(cls: Any, *, in_channels: int) -> Any:
    """A Stable Diffusion pipeline without a safety checker."""
    return cls(
        vae=tiny_vae(),
        unet=tiny_unet(in_channels=in_channels),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **tiny_text(),
    )


def _sdxl() -> Any:
    unet = tiny_unet(
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        # six time ids of 8 and a pooled text embedding of 16
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    return StableDiffusionXLImg2ImgPipeline(
        vae=tiny_vae(),
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        add_watermarker=False,
    )


def _flux() -> Any:
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=[4, 4, 8],
    ).eval()
    vae = AutoencoderKL(
        block_out_channels=[8, 16],
        norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
        shift_factor=0.0,
        scaling_factor=1.0,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()
    return FluxImg2ImgPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        transformer=transformer,
    )


PIPELINES: dict[str, Callable[[], Any]] = {
    "Stable Diffusion img2img": tiny_img2img,
    "SDXL img2img": _sdxl,
    "inpaint": lambda: _classic(StableDiffusionInpaintPipeline, in_channels=9),
    "InstructPix2Pix": lambda: _classic(StableDiffusionInstructPix2PixPipeline, in_channels=8),
    "Flux img2img": _flux,
}
"""Per name, how to make one."""


def arguments(name: str, image: Any, mask: Any) -> dict[str, Any]:
    """A valid call with an init image, deterministic and two steps long.

    Args:
        name: Which pipeline.
        image: The init image.
        mask: A mask of its size, for the pipelines that take one.
    """
    shared = {
        "image": image,
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(0),
    }
    torch.manual_seed(0)
    match name:
        case "InstructPix2Pix":
            return shared | {"prompt": "a photo"}
        case "inpaint":
            size = {"height": 64, "width": 64}
            return shared | size | {"prompt": "a photo", "mask_image": mask, "strength": 0.9}
        case "SDXL img2img":
            return shared | {
                "strength": 0.9,
                "guidance_scale": 1.0,
                "prompt_embeds": torch.randn(1, 8, 16),
                "pooled_prompt_embeds": torch.randn(1, 16),
            }
        case "Flux img2img":
            return shared | {
                "strength": 0.9,
                "height": 64,
                "width": 64,
                "prompt_embeds": torch.randn(1, 8, 32),
                "pooled_prompt_embeds": torch.randn(1, 32),
            }
        case _:
            return shared | {"prompt": "a photo", "strength": 0.9}
