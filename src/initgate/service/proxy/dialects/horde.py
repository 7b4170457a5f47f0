"""AI Horde: what its clients ask, and the jobs that its workers get.

A job whose pictures do not pass is given back to the horde, and the worker hears that there is
none. Jobs of texts and of interrogation are not looked at: workers that want them are turned away.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NoReturn

from initgate.service.proxy.core import ANSWER, Dialect, Jobs, Request, Response, Route
from initgate.service.proxy.dialects.answers import to_message, to_response
from initgate.service.proxy.found import Node
from initgate.service.proxy.texts import Unparsable


def _refuse(message: str, decision_id: str) -> Response:
    said = to_message(message, decision_id)
    if not decision_id:
        return to_response(400, {"message": said}, decision_id)
    # By these words its SDK knows the error for pictures. Without a key "errors", which is for
    # fields of the wrong type.
    content = {"message": f"Image validation failed: {said}", "rc": "ImageValidationFailed"}
    return to_response(400, content, decision_id)


def _bar_jobs(root: Node) -> NoReturn:
    """The pictures of a job are in the answer."""
    del root
    raise Unparsable("a worker asks for jobs, whose pictures this dialect does not look at")


def _give_back(request: Request, answer: bytes, is_listed: bool) -> Iterator[Request]:
    """A submission for each image that the job is to make."""
    try:
        job = json.loads(answer)
    except (ValueError, RecursionError):
        return
    if not isinstance(job, dict):
        return
    several, one = job.get("ids"), job.get("id")
    ids = several if isinstance(several, list) and several else [one]
    state = "csam" if is_listed else "faulted"
    found = [{"type": "censorship", "value": "csam"}] if is_listed else []
    headers = tuple(pair for pair in request.headers if pair[0] in _WHO)
    for job_id in ids:
        if isinstance(job_id, str) and job_id:
            said = {"id": job_id, "state": state, "generation": state, "seed": 0}
            yield replace(
                request,
                path=re.sub(r"/pop/?\Z", "/submit", request.path),
                query="",
                headers=(*headers, ("content-type", "application/json")),
                body=json.dumps(said | {"gen_metadata": found}).encode(),
            )


# Who the worker is, and what it runs.
_WHO = {"apikey", "client-agent", "user-agent", "host"}


def _no_job(decision_id: str) -> Response:
    return to_response(200, {"id": None, "ids": [], "payload": {}, "skipped": {}}, decision_id)


_IMAGES = ("source_image", "source_mask", "extra_source_images.*.image")

HORDE = Dialect(
    name="horde",
    refuse=_refuse,
    takes_data_urls=False,
    routes=(
        Route(
            r"/v\d/(?:generate|generate/text|interrogate)/a?sync",
            images=_IMAGES,
            may_hold_urls=True,  # of a webhook
        ),
        Route(r"/v\d/generate/pop", jobs=Jobs(give_back=_give_back, none=_no_job)),
        Route(
            r"/v\d/generate/pop",
            methods=(ANSWER,),
            images=_IMAGES,
            may_hold_urls=True,  # where the worker puts what it made
        ),
        Route(
            r"/v\d/(?:generate|generate/text|interrogate)/pop\w*",
            methods=("GET", "POST", "PUT"),
            rule=_bar_jobs,
        ),
    ),
)
"""The dialect ``horde``."""
