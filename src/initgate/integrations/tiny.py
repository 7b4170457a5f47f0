"""A diffusers pipeline small enough to build anywhere: random weights, no download, no GPU.

It shows that the gate is wired, not what a model draws. The demo and the tests run it; integrators
may do the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast


def tiny_vae() -> Any:
    """An ``AutoencoderKL`` with 4 latent channels."""
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=[8, 16],
        norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=4,
    ).eval()


def tiny_unet(*, in_channels: int = 4, **more: Any) -> Any:
    """A ``UNet2DConditionModel`` for :func:`tiny_vae`."""
    torch.manual_seed(0)
    config = {
        "block_out_channels": (8, 16),
        "norm_num_groups": 4,
        "layers_per_block": 1,
        "sample_size": 32,
        "in_channels": in_channels,
        "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 16,
        "attention_head_dim": 4,
    }
    return UNet2DConditionModel(**(config | more)).eval()


def tiny_text() -> dict[str, Any]:
    """A CLIP text encoder and a tokenizer whose vocabulary is the alphabet."""
    torch.manual_seed(0)
    words = ["<|startoftext|>", "<|endoftext|>", *map(chr, range(ord("a"), ord("z") + 1))]
    # CLIPTokenizer takes a vocabulary in memory only from transformers 5 on.
    letters = Tokenizer(BPE(vocab={word: n for n, word in enumerate(words)}, merges=[]))
    letters.pre_tokenizer = Whitespace()
    start, end = words[:2]
    letters.post_processor = TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, 0), (end, 1)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters,
        bos_token=start,
        eos_token=end,
        pad_token=end,
        model_max_length=16,
    )
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=16,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=1,
        )
    ).eval()
    return {"text_encoder": encoder, "tokenizer": tokenizer}


def tiny_img2img() -> StableDiffusionImg2ImgPipeline:
    """A ``StableDiffusionImg2ImgPipeline`` that runs two steps in a fraction of a second."""
    pipe = StableDiffusionImg2ImgPipeline(
        vae=tiny_vae(),
        unet=tiny_unet(),
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **tiny_text(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@dataclass
class CallCounter:
    """Counts what a pipeline's models were asked to do.

    Args:
        denoise: Forward passes of the UNet or transformer.
        encode: Calls of the autoencoder's ``encode``.
        decode: Calls of the autoencoder's ``decode``.
    """

    denoise: int = 0
    encode: int = 0
    decode: int = 0

    @classmethod
    def on(cls, pipe: Any) -> CallCounter:
        """A counter hooked into a pipeline."""
        counter = cls()
        denoiser = getattr(pipe, "unet", None) or pipe.transformer

        def count_denoise(*_: Any) -> None:
            counter.denoise += 1

        denoiser.register_forward_pre_hook(count_denoise)
        for name in ("encode", "decode"):
            setattr(pipe.vae, name, counter._counted(getattr(pipe.vae, name), name))
        return counter

    def _counted(self, method: Any, name: str) -> Any:
        def counted(*args: Any, **kwargs: Any) -> Any:
            setattr(self, name, getattr(self, name) + 1)
            return method(*args, **kwargs)

        return counted

    def __str__(self) -> str:
        return f"{self.denoise}/{self.encode}/{self.decode}"
