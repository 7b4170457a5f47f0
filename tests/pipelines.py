"""Real diffusers pipelines with random weights, small enough to run in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    ControlNetModel,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxImg2ImgPipeline,
    FluxKontextPipeline,
    FluxTransformer2DModel,
    QwenImageEditPipeline,
    QwenImageTransformer2DModel,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UniPCMultistepScheduler,
    WanTransformer3DModel,
    WanVACEPipeline,
    WanVACETransformer3DModel,
    WanVideoToVideoPipeline,
)
from diffusers.modular_pipelines import FluxAutoBlocks, SequentialPipelineBlocks
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    T5Config,
    T5EncoderModel,
)

from initgate.integrations.tiny import tiny_img2img, tiny_text, tiny_unet, tiny_vae


def seeing_vae() -> Any:
    """An ``AutoencoderKL`` that gives back the picture it is given: made by hand, not trained.

    Each colour runs through it as a pair of channels, itself and its negative; the difference of
    their SiLUs is the colour again. Latents are as large as the picture.
    """
    vae = AutoencoderKL(
        block_out_channels=[8],
        norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"],
        up_block_types=["UpDecoderBlock2D"],
        latent_channels=4,
        use_quant_conv=False,
        use_post_quant_conv=False,
    ).eval()
    with torch.no_grad():
        for parameter in vae.parameters():
            parameter.zero_()
        for part in (vae.encoder, vae.decoder):
            part.conv_norm_out.weight.fill_(1)
            for colour in range(3):
                for sign, channel in ((1, 2 * colour), (-1, 2 * colour + 1)):
                    part.conv_in.weight[channel, colour, 1, 1] = sign
                    part.conv_out.weight[colour, channel, 1, 1] = sign
        vae.encoder.conv_out.bias[4:] = -30  # no spread around the mean
    return vae


def classic(cls: Any, *, in_channels: int) -> Any:
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


def sdxl(cls: Any = StableDiffusionXLImg2ImgPipeline) -> Any:
    """An SDXL pipeline: the image-to-image one, or another of the same components."""
    unet = tiny_unet(
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        # six time ids of 8 and a pooled text embedding of 16
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    return cls(
        vae=tiny_vae(),
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        add_watermarker=False,
    )


def _flux_models() -> dict[str, Any]:
    """All of Flux."""
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=16,
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
    text_encoder_2 = T5EncoderModel(
        T5Config(vocab_size=64, d_model=32, d_kv=16, d_ff=32, num_layers=1, num_heads=2)
    ).eval()
    words = {"<pad>": 0, "</s>": 1, "a": 2, "photo": 3, "<unk>": 4}
    tokenizer_2 = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<unk>")),  # noqa: S106  # a word
        pad_token="<pad>",  # noqa: S106  # the same
        model_max_length=16,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(),
        "vae": vae,
        "transformer": transformer,
        "text_encoder_2": text_encoder_2,
        "tokenizer_2": tokenizer_2,
        **tiny_text(),
    }


def flux(cls: Any) -> Any:
    """A Flux pipeline."""
    return cls(**_flux_models())


def flux_modular(*blocks: str) -> Any:
    """Modular Flux.

    Args:
        blocks: The blocks to keep; without any, all.
    """
    preset = FluxAutoBlocks().sub_blocks
    kept = {name: preset[name] for name in blocks or preset}
    pipe = SequentialPipelineBlocks.from_blocks_dict(kept).init_pipeline()
    models = _flux_models()
    pipe.update_components(**{name: models[name] for name in models if hasattr(pipe, name)})
    return pipe


def controlnet_model() -> Any:
    """A ``ControlNetModel`` that has an effect."""
    torch.manual_seed(0)
    controlnet = ControlNetModel(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        in_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        # as many halvings as tiny_vae has
        conditioning_embedding_out_channels=(8, 16),
    ).eval()
    for name, parameter in controlnet.named_parameters():
        # made of zeros, these would do nothing
        if name.startswith(("controlnet_", "controlnet_cond_embedding.conv_out")):
            torch.nn.init.constant_(parameter, 0.1)
    return controlnet


def _controlnet() -> Any:
    make = StableDiffusionControlNetImg2ImgPipeline
    return classic(
        lambda **more: make(controlnet=controlnet_model(), **more),
        in_channels=4,
    )


def _ip_adapter() -> Any:
    """Stable Diffusion img2img with the layout of ip-adapter_sd15, four image tokens."""
    torch.manual_seed(0)
    image_encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            projection_dim=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        )
    ).eval()
    size = {"height": 32, "width": 32}
    pipe = StableDiffusionImg2ImgPipeline(
        vae=tiny_vae(),
        unet=tiny_unet(),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size),
        image_encoder=image_encoder,
        requires_safety_checker=False,
        **tiny_text(),
    )
    torch.manual_seed(0)
    keys_and_values = {}
    for n, (name, processor) in enumerate(
        (name, one) for name, one in pipe.unet.attn_processors.items() if "attn2" in name
    ):
        attention = pipe.unet.get_submodule(name.removesuffix(".processor"))
        assert processor is attention.processor
        for part in ("to_k_ip", "to_v_ip"):
            keys_and_values[f"{2 * n + 1}.{part}.weight"] = torch.randn(attention.inner_dim, 16)
    pipe.unet._load_ip_adapter_weights(
        [
            {
                "image_proj": {
                    "proj.weight": torch.randn(4 * 16, 16),
                    "proj.bias": torch.randn(4 * 16),
                    "norm.weight": torch.ones(16),
                    "norm.bias": torch.zeros(16),
                },
                "ip_adapter": keys_and_values,
            }
        ]
    )
    return pipe


class QwenProcessor:
    """The processor of Qwen2.5-VL, whose own class needs torchvision, with a token a character."""

    def __init__(self) -> None:
        special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        special += ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
        # "Ġ" and "Ċ" stand for space and line break
        words = [*map(chr, range(33, 127)), "Ġ", "Ċ", *special]
        self.tokenizer = Qwen2Tokenizer(vocab={word: n for n, word in enumerate(words)}, merges=[])
        self.tokenizer.add_special_tokens({"additional_special_tokens": special[1:]})
        pixels = {"shortest_edge": 64 * 64, "longest_edge": 64 * 64}
        self.image_processor = Qwen2VLImageProcessor(patch_size=8, merge_size=2, size=pixels)

    def __call__(self, text: list[str], images: Any, **more: Any) -> Any:
        seen = self.image_processor(images=images, return_tensors="pt")
        merged = self.image_processor.merge_size**2
        pads = [int(grid.prod()) // merged for grid in seen["image_grid_thw"]]
        filled = [
            one.replace("<|image_pad|>", "<|image_pad|>" * pads[n]) for n, one in enumerate(text)
        ]
        tokens = self.tokenizer(filled, **more)
        tokens.update(seen)
        return tokens


def _qwen_edit() -> Any:
    processor = QwenProcessor()
    ids = {
        f"{kind}_token_id": processor.tokenizer.convert_tokens_to_ids(f"<|{word}|>")
        for kind, word in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    torch.manual_seed(0)
    text_encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "rope_scaling": {
                    "mrope_section": [1, 1, 2],
                    "rope_type": "default",
                    "type": "default",
                },
                "rope_theta": 1000000.0,
                "vocab_size": len(processor.tokenizer),
                "bos_token_id": 0,
                "eos_token_id": 0,
            },
            vision_config={
                "depth": 1,
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_heads": 2,
                "out_hidden_size": 16,
                "patch_size": 8,
                "temporal_patch_size": 2,
                "spatial_merge_size": 2,
                "fullatt_block_indexes": [0],
                "window_size": 32,
            },
            **ids,
        )
    ).eval()
    vae = AutoencoderKLQwenImage(
        base_dim=12,
        z_dim=4,
        dim_mult=[1, 2],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    ).eval()
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    ).eval()
    return QwenImageEditPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=processor.tokenizer,
        processor=processor,
        transformer=transformer,
    )


def _wan_video() -> Any:
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=3,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    ).eval()
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    ).eval()
    return WanVideoToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        transformer=transformer,
        vae=vae,
        scheduler=UniPCMultistepScheduler(
            flow_shift=3.0, use_flow_sigmas=True, prediction_type="flow_prediction"
        ),
    )


def wan_vace(vae: Any, scheduler: Any) -> Any:
    """Wan VACE, to lay videos out, not to be called."""
    torch.manual_seed(0)
    transformer = WanVACETransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        text_dim=16,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        vace_layers=[0],
        vace_in_channels=96,
    ).eval()
    return WanVACEPipeline(
        tokenizer=None, text_encoder=None, transformer=transformer, vae=vae, scheduler=scheduler
    )


PIPELINES: dict[str, Callable[[], Any]] = {
    "Stable Diffusion img2img": tiny_img2img,
    "SDXL img2img": sdxl,
    "inpaint": lambda: classic(StableDiffusionInpaintPipeline, in_channels=9),
    "InstructPix2Pix": lambda: classic(StableDiffusionInstructPix2PixPipeline, in_channels=8),
    "Flux img2img": lambda: flux(FluxImg2ImgPipeline),
}
"""Per name, how to make one that takes one init image, as ``image``."""


MORE: dict[str, Callable[[], Any]] = {
    "ControlNet img2img": _controlnet,
    "IP-adapter": _ip_adapter,
    "Flux Kontext": lambda: flux(FluxKontextPipeline),
    "Qwen edit": _qwen_edit,
    "Wan video to video": _wan_video,
    "SDXL base": lambda: sdxl(StableDiffusionXLPipeline),
    "Flux modular": flux_modular,
}
"""Others: with several inputs, of video, of several calls."""


_FLUX_TEXT: dict[str, Any] = {"prompt": "a photo", "max_sequence_length": 16}


def arguments(  # noqa: C901, PLR0911  # a case a pipeline
    name: str, image: Any, mask: Any
) -> dict[str, Any]:
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
            return shared | _sdxl_text() | {"strength": 0.9}
        case "SDXL base":
            del shared["image"]
            return shared | _sdxl_text() | {"height": 64, "width": 64}
        case "Flux img2img":
            size = {"height": 64, "width": 64}
            return shared | size | _FLUX_TEXT | {"strength": 0.9}
        case "ControlNet img2img":
            size = {"height": 64, "width": 64}
            control = {"control_image": image.copy()}
            return shared | control | size | {"prompt": "a photo", "strength": 0.9}
        case "IP-adapter":
            adapter = {"ip_adapter_image": image.copy()}
            return shared | adapter | {"prompt": "a photo", "strength": 0.9}
        case "Flux Kontext":
            size = {"height": 64, "width": 64, "max_area": 64 * 64, "_auto_resize": False}
            return shared | size | _FLUX_TEXT
        case "Flux modular":
            size = {"height": 64, "width": 64}
            return shared | size | _FLUX_TEXT | {"strength": 0.9}
        case "Qwen edit":
            size = {"height": 64, "width": 64}
            return shared | size | {"prompt": "a photo", "true_cfg_scale": 1.0}
        case "Wan video to video":
            del shared["image"]
            return shared | {
                "video": [image] * 5,
                "height": 32,
                "width": 32,
                "strength": 0.9,
                "guidance_scale": 1.0,
                "prompt_embeds": torch.randn(1, 8, 16),
            }
        case _:
            return shared | {"prompt": "a photo", "strength": 0.9}


def _sdxl_text() -> dict[str, Any]:
    return {
        "guidance_scale": 1.0,
        "prompt_embeds": torch.randn(1, 8, 16),
        "pooled_prompt_embeds": torch.randn(1, 16),
    }
