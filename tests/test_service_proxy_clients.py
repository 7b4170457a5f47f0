"""Clients as their authors ship them, with nothing changed but the address."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from requests_made import file_of
from samples import photo

from initgate import Gate
from initgate.config import ProxySettings

pytest.importorskip("httpx")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")

from gradio_app import GradioApp  # after what they need
from upstreams import PNG, Upstream, serving

from initgate.service.proxy.run import make_proxy

pytestmark = pytest.mark.filterwarnings("default")  # theirs are not ours

SIDE = 256


class Behind:
    """A fake server behind a proxy, and what reached it."""

    def __init__(self, url: str, upstream: Upstream, gate: Gate) -> None:
        self.url = url
        self.upstream = upstream
        self._gate = gate

    @property
    def last_id(self) -> str:
        (record,) = self._gate.journal.sink.last(1)
        return str(record.event["decision_id"])

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def behind(stack: ExitStack, gate: Gate, dialect: Any) -> Behind:
    upstream = Upstream()
    url = stack.enter_context(serving(upstream.app()))
    proxy = make_proxy(gate, ProxySettings(upstream=url, dialect=dialect))
    return Behind(stack.enter_context(serving(proxy.app())), upstream, gate)


def is_same(data: bytes, name: str) -> bool:
    from PIL import Image  # noqa: PLC0415

    with Image.open(io.BytesIO(data)) as opened:
        return np.array_equal(np.asarray(opened.convert("RGB")), np.asarray(photo(name, SIDE)))


# ── webuiapi ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def a1111(stack: ExitStack, quick_gate: Gate) -> Behind:
    return behind(stack, quick_gate, "a1111")


def test_webuiapi_gets_its_picture(a1111: Behind) -> None:
    webuiapi = pytest.importorskip("webuiapi")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=a1111.port)
    result = api.img2img(images=[photo("flower", SIDE)], prompt="a", mask_image=None)
    assert result.image.size == (1, 1)
    (text,) = json.loads(a1111.upstream.got[-1].body)["init_images"]
    assert is_same(base64.b64decode(text.split(",")[-1]), "flower")


def test_webuiapi_is_told_of_a_refusal(a1111: Behind) -> None:
    webuiapi = pytest.importorskip("webuiapi")
    api = webuiapi.WebUIApi(host="127.0.0.1", port=a1111.port)
    a1111.upstream.got.clear()
    with pytest.raises(RuntimeError) as raised:
        api.img2img(images=[photo("astronaut", SIDE)], prompt="a")
    assert a1111.last_id in str(raised.value)
    unit = webuiapi.ControlNetUnit(image=photo("astronaut", SIDE))
    with pytest.raises(RuntimeError) as raised:
        api.txt2img(prompt="a", controlnet_units=[unit])
    assert a1111.last_id in str(raised.value)
    assert a1111.upstream.got == []


# ── openai ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def openai_like(stack: ExitStack, quick_gate: Gate) -> Behind:
    return behind(stack, quick_gate, "openai")


def test_openai_gets_its_picture(openai_like: Behind) -> None:
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{openai_like.url}/v1", api_key="x") as client:
        picture = file_of("flower", "PNG", most=SIDE)
        assert client.images.edit(image=[("a.png", picture)] * 2, prompt="a").data
    assert openai_like.upstream.got[-1].body.count(picture) == 2


def test_openai_is_told_of_a_refusal_and_does_not_ask_again(openai_like: Behind) -> None:
    openai = pytest.importorskip("openai")
    openai_like.upstream.got.clear()
    with openai.OpenAI(base_url=f"{openai_like.url}/v1", api_key="x") as client:
        with pytest.raises(openai.BadRequestError) as raised:
            client.images.edit(
                image=("a.png", file_of("flower", "PNG", most=SIDE)),
                mask=("m.png", file_of("astronaut", "PNG", most=SIDE)),
                prompt="a",
            )
        first = openai_like.last_id
        assert raised.value.code == "moderation_blocked"
        assert raised.value.request_id == first
        url = f"data:image/png;base64,{base64.b64encode(file_of('astronaut', most=SIDE)).decode()}"
        content = [{"type": "image_url", "image_url": {"url": url}}]
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(
                model="a", messages=[{"role": "user", "content": content}]
            )
    assert openai_like.last_id in raised.value.message
    assert openai_like.last_id != first
    assert openai_like.upstream.got == []


# ── comfy-api-simplified ──────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def comfyui(stack: ExitStack, quick_gate: Gate) -> Behind:
    return behind(stack, quick_gate, "comfyui")


def test_comfy_api_gets_its_picture_and_its_prompt(comfyui: Behind, tmp_path: Path) -> None:
    comfy = pytest.importorskip("comfy_api_simplified")
    file = tmp_path / "a.png"
    file.write_bytes(file_of("flower", "PNG", most=SIDE))
    api = comfy.ComfyApiWrapper(comfyui.url)
    named = api.upload_image(str(file))
    assert file.read_bytes() in comfyui.upstream.got[-1].body
    graph = {"1": {"class_type": "LoadImage", "inputs": {"image": named["name"]}}}
    assert api.queue_prompt(graph)["prompt_id"] == "1"


def test_comfy_api_is_told_of_a_refusal(comfyui: Behind, tmp_path: Path) -> None:
    comfy = pytest.importorskip("comfy_api_simplified")
    comfyui.upstream.got.clear()
    file = tmp_path / "a.png"
    file.write_bytes(file_of("astronaut", "PNG", most=SIDE))
    api = comfy.ComfyApiWrapper(comfyui.url)
    with pytest.raises(Exception, match="400"):  # all that it tells of an answer
        api.upload_image(str(file))
    assert comfyui.upstream.got == []


# ── huggingface_hub ───────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def huggingface(stack: ExitStack, quick_gate: Gate) -> Behind:
    return behind(stack, quick_gate, "huggingface")


def test_huggingface_hub_gets_its_picture(huggingface: Behind) -> None:
    hub = pytest.importorskip("huggingface_hub")
    client = hub.InferenceClient(f"{huggingface.url}/models/a", api_key="x")
    picture = file_of("flower", "PNG", most=SIDE)
    assert client.image_to_image(picture).size == (1, 1)
    assert huggingface.upstream.got[-1].body == picture
    assert client.image_to_image(picture, prompt="a").size == (1, 1)
    asked = json.loads(huggingface.upstream.got[-1].body)
    assert base64.b64decode(asked["inputs"]) == picture


@pytest.mark.parametrize("prompt", [None, "a"], ids=["raw", "JSON"])
def test_huggingface_hub_is_told_of_a_refusal(huggingface: Behind, prompt: str | None) -> None:
    hub = pytest.importorskip("huggingface_hub")
    huggingface.upstream.got.clear()
    client = hub.InferenceClient(f"{huggingface.url}/models/a", api_key="x")
    with pytest.raises(hub.errors.BadRequestError) as raised:
        client.image_to_image(file_of("astronaut", "PNG", most=SIDE), prompt=prompt)
    assert huggingface.last_id in str(raised.value)
    assert huggingface.upstream.got == []


# ── invokeai-py-client ────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def invokeai(stack: ExitStack, quick_gate: Gate) -> Behind:
    return behind(stack, quick_gate, "invokeai")


def board_of(invokeai: Behind) -> Any:
    client = pytest.importorskip("invokeai_py_client").InvokeAIClient.from_url(invokeai.url)
    return client.board_repo.get_uncategorized_handle()


def test_invokeai_py_client_gets_its_picture(invokeai: Behind) -> None:
    picture = file_of("flower", "PNG", most=SIDE)
    assert board_of(invokeai).upload_image_data(picture).image_name == "1.png"
    assert picture in invokeai.upstream.got[-1].body


def test_invokeai_py_client_is_told_of_a_refusal(invokeai: Behind) -> None:
    board = board_of(invokeai)
    requests = pytest.importorskip("requests")  # which it is made of
    invokeai.upstream.got.clear()
    with pytest.raises(requests.HTTPError, match="403") as raised:
        board.upload_image_data(file_of("astronaut", "PNG", most=SIDE))
    assert invokeai.last_id in raised.value.response.text
    assert invokeai.upstream.got == []


# ── horde-sdk ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def horde(stack: ExitStack, quick_gate: Gate) -> Behind:
    made = behind(stack, quick_gate, "horde")
    patch = stack.enter_context(pytest.MonkeyPatch.context())
    patch.setenv("AI_HORDE_URL", f"{made.url}/api/")  # read when it is imported
    return made


def ask_horde(name: str) -> Any:
    api = pytest.importorskip("horde_sdk.ai_horde_api")
    models = pytest.importorskip("horde_sdk.ai_horde_api.apimodels")
    asked = models.ImageGenerateAsyncRequest(
        apikey="0000000000",
        prompt="a",
        models=["a"],
        source_image=base64.b64encode(file_of(name, "WEBP", most=SIDE)).decode(),
        source_processing="img2img",
    )
    client = api.ai_horde_clients.AIHordeAPIManualClient()
    return client.submit_request(asked, asked.get_default_success_response_type())


def test_horde_sdk_gets_its_picture(horde: Behind) -> None:
    assert ask_horde("flower").id_
    asked = json.loads(horde.upstream.got[-1].body)
    assert base64.b64decode(asked["source_image"]) == file_of("flower", "WEBP", most=SIDE)


def test_horde_sdk_is_told_of_a_refusal(horde: Behind) -> None:
    horde.upstream.got.clear()
    answer = ask_horde("astronaut")
    assert horde.last_id in answer.message
    assert answer.rc == "ImageValidationFailed"
    assert horde.upstream.got == []


def pop_at(horde: Behind, name: str) -> Any:
    """What a worker is handed, if the horde has a job with a picture for it."""
    models = pytest.importorskip("horde_sdk.ai_horde_api.apimodels")
    api = pytest.importorskip("horde_sdk.ai_horde_api")
    job_id = "00000000-0000-0000-0000-000000000001"
    horde.upstream.answers["/api/v2/generate/pop"] = {
        "id": job_id,
        "ids": [job_id],
        "model": "a",
        "payload": {"seed": "7"},
        "skipped": {},
        "source_image": base64.b64encode(file_of(name, "WEBP", most=SIDE)).decode(),
        "source_processing": "img2img",
    }
    horde.upstream.answers["/api/v2/generate/submit"] = {"reward": 1}
    asked = models.ImageGenerateJobPopRequest(
        apikey="0000000000",
        name="a",
        bridge_agent="a:1:b",
        models=["a"],
        max_pixels=262144,
    )
    client = api.ai_horde_clients.AIHordeAPIManualClient()
    return client.submit_request(asked, asked.get_default_success_response_type())


def test_a_worker_of_horde_sdk_gets_its_picture(horde: Behind) -> None:
    job = pop_at(horde, "flower")
    assert job.ids_present
    assert base64.b64decode(job.source_image) == file_of("flower", "WEBP", most=SIDE)


def test_a_worker_of_horde_sdk_gets_no_listed_picture_and_the_horde_is_told(horde: Behind) -> None:
    horde.upstream.got.clear()
    job = pop_at(horde, "astronaut")
    assert not job.ids_present
    assert job.source_image is None
    asked, submitted = horde.upstream.got
    assert submitted.path == "/api/v2/generate/submit"
    assert submitted.header("apikey") == asked.header("apikey") == "0000000000"
    models = import_module("horde_sdk.ai_horde_api.apimodels")
    told = models.ImageGenerationJobSubmitRequest(**json.loads(submitted.body))
    assert told.state == "csam"


# ── gradio_client ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def gradio(
    quick_gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[GradioApp, Any]]:
    """An app behind a proxy, and its client."""
    client = pytest.importorskip("gradio_client")
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    app = GradioApp()
    with ExitStack() as opened:
        settings = ProxySettings(
            upstream=opened.enter_context(serving(app.app())), dialect="gradio", floor_ms=0
        )
        url = opened.enter_context(serving(make_proxy(quick_gate, settings).app()))
        connected = client.Client(
            url, verbose=False, analytics_enabled=False, download_files=str(tmp_path / "made")
        )
        opened.callback(connected.close)
        yield app, connected


def picture_at(folder: Path, name: str) -> Any:
    """A sample photo as its users hand it over: by its path."""
    file = folder / "a.png"
    file.write_bytes(file_of(name, "PNG", most=SIDE))
    return import_module("gradio_client").handle_file(str(file))


def test_gradio_client_gets_its_picture(gradio: tuple[GradioApp, Any], tmp_path: Path) -> None:
    app, client = gradio
    made = client.predict(picture_at(tmp_path, "flower"), api_name="/paint")
    assert Path(made).read_bytes() == PNG
    assert is_same(app.uploaded[0], "flower")
    assert app.asked[0]["data"][0]["path"] == "/srv/gradio/0/a.png"


def test_gradio_client_is_told_of_a_refusal(
    gradio: tuple[GradioApp, Any], quick_gate: Gate, tmp_path: Path
) -> None:
    app, client = gradio
    httpx = import_module("httpx")  # which it is made of
    with pytest.raises(httpx.HTTPStatusError, match="400") as raised:
        client.predict(picture_at(tmp_path, "astronaut"), api_name="/paint")
    (record,) = quick_gate.journal.sink.last(1)
    assert record.event["decision_id"] in raised.value.response.json()["error"]
    assert (app.uploaded, app.asked) == ([], [])


def test_gradio_client_cannot_name_what_it_did_not_upload(gradio: tuple[GradioApp, Any]) -> None:
    app, client = gradio
    named = import_module("gradio_client").handle_file("https://example.org/a.png")
    with pytest.raises(import_module("httpx").HTTPStatusError, match="400"):
        client.predict(named, api_name="/paint")
    assert app.asked == []
