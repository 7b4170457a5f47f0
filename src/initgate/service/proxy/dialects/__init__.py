"""One file a server: its routes, what in them names pictures, and how it says no."""

from __future__ import annotations

from initgate.service.proxy.core import Dialect
from initgate.service.proxy.dialects.a1111 import A1111
from initgate.service.proxy.dialects.comfyui import COMFYUI
from initgate.service.proxy.dialects.generic import GENERIC
from initgate.service.proxy.dialects.gradio import GRADIO
from initgate.service.proxy.dialects.horde import HORDE
from initgate.service.proxy.dialects.huggingface import HUGGINGFACE
from initgate.service.proxy.dialects.invokeai import INVOKEAI
from initgate.service.proxy.dialects.openai import OPENAI
from initgate.service.proxy.dialects.stability import STABILITY

DIALECTS: dict[str, Dialect] = {
    one.name: one
    for one in (GENERIC, A1111, COMFYUI, OPENAI, GRADIO, STABILITY, HUGGINGFACE, INVOKEAI, HORDE)
}
"""By name."""
