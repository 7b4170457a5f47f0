"""Latents become pictures again, by the pipeline's own autoencoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

_AUTOENCODERS = ("vae", "vqvae", "movq", "vqgan")
_IMAGE, _VIDEO = 4, 5  # axes of [N, C, H, W] and [N, C, F, H, W]


def latent_channels(pipe: Any) -> int | None:
    """How many channels the latents of a pipeline's autoencoder have; None if it does not say."""
    config = getattr(_autoencoder(pipe), "config", None)
    found = getattr(config, "latent_channels", None) or getattr(config, "z_dim", None)
    return found if isinstance(found, int) else None


def pictures_of(latents: Any, pipe: Any) -> list[Any]:
    """What an autoencoder makes of latents, as they are and as a pipeline would scale them.

    Args:
        latents: A tensor ``[N, C, H, W]`` or ``[N, C, F, H, W]``.
        pipe: The pipeline whose autoencoder decodes.

    Returns:
        Tensors of pixels; none if these are no latents of that autoencoder: packed ones, image
        embeddings, arrays.
    """
    vae = _autoencoder(pipe)
    is_latent = isinstance(latents, torch.Tensor) and latents.ndim in {_IMAGE, _VIDEO}
    if vae is None or not is_latent or latents.shape[1] != latent_channels(pipe):
        return []
    device = getattr(pipe, "_execution_device", vae.device)
    try:
        with torch.no_grad():
            return [
                vae.decode(scaled.to(device, vae.dtype), return_dict=False)[0]
                for scaled in _scalings(latents.float(), vae.config)
            ]
    except (RuntimeError, ValueError, TypeError):  # images' latents for a video's, or too small
        return []


def _autoencoder(pipe: Any) -> Any:
    found = (getattr(pipe, name, None) for name in _AUTOENCODERS)
    return next((one for one in found if one is not None), None)


def _scalings(latents: Any, config: Any) -> Iterator[Any]:
    """The latents as they are, and with the pipelines' scaling taken back."""
    yield latents
    if mean := getattr(config, "latents_mean", None):
        shape = (1, -1, *[1] * (latents.ndim - 2))
        numbers = (torch.tensor(one).view(shape) for one in (config.latents_std, mean))
        spread, centre = (one.to(latents) for one in numbers)
        yield latents * spread + centre
    factor = getattr(config, "scaling_factor", None) or 1.0
    shift = getattr(config, "shift_factor", None) or 0.0
    if (factor, shift) != (1.0, 0.0):
        yield latents / factor + shift
