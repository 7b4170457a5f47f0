"""Fixtures: sample photos, and gates of real parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import util
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from commands import FLAT, SAMPLE, Configure, run
from hypothesis import HealthCheck, settings
from samples import CONFIG, LISTED, UNLISTED
from structlog.testing import LogCapture

from initgate import Gate, load_gate, load_settings
from initgate.audit import AuditSink, Journal, Provenance
from initgate.canary import load_canary
from initgate.exceptions import NONE, Exceptions
from initgate.gate import Shelf
from initgate.image import Limits, encode
from initgate.index import Index
from initgate.model import Family, HashList
from initgate.policy import Encoded, Fallback, ListPolicy, Policy
from initgate.testing import MemorySink, scene

if TYPE_CHECKING:
    from list_server import ListServer

collect_ignore_glob = []
if not all(map(util.find_spec, ("fastapi", "httpx", "prometheus_client", "uvicorn"))):
    collect_ignore_glob += ["test_service*.py"]  # the extra serve
elif not util.find_spec("schemathesis"):
    collect_ignore_glob += ["test_service_openapi.py"]

settings.register_profile(
    "default",
    deadline=None,  # other processes share the machine
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("default")

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

MakeGate = Callable[..., Gate]


@pytest.fixture(autouse=True, scope="session")
def _clean_environment() -> Iterator[None]:
    """No setting of the developer's shell reaches a test."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for variable in list(os.environ):
            if variable.upper().startswith("INITGATE_"):
                monkeypatch.delenv(variable)
        yield


@pytest.fixture
def log_capture() -> LogCapture:
    """What a gate logged: ``entries``."""
    return LogCapture()


@pytest.fixture
def log(log_capture: LogCapture) -> Any:
    """A logger that prints nothing."""
    return structlog.wrap_logger(None, processors=[log_capture])


@pytest.fixture
def gate(tmp_path: Path, log: Any) -> Iterator[Gate]:
    """The gate of config/initgate.toml for whole pictures, with an audit log of its own."""
    made = shipped_gate(tmp_path, log, views=())
    yield made
    made.journal.sink.close()


@pytest.fixture(scope="session")
def sample_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """The gate of config/initgate.toml, shared by tests that only ask it."""
    logger = structlog.wrap_logger(None, processors=[LogCapture()])
    made = shipped_gate(tmp_path_factory.mktemp("audit"), logger)
    yield made
    made.journal.sink.close()


@pytest.fixture(scope="session")
def quick_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """The same with few views, for tests of what stands around a gate."""
    logger = structlog.wrap_logger(None, processors=[LogCapture()])
    made = shipped_gate(tmp_path_factory.mktemp("audit"), logger, views="fast")
    yield made
    made.journal.sink.close()


def shipped_gate(folder: Path, log: Any, **gate: Any) -> Gate:
    """A gate of the shipped configuration that records in ``folder``."""
    shipped = load_settings(CONFIG)
    audit = shipped.audit.model_copy(update={"url": f"sqlite:///{folder / 'audit.db'}"})
    changed = shipped.gate.model_copy(update=gate)
    return load_gate(shipped.model_copy(update={"audit": audit, "gate": changed}), log=log)


@pytest.fixture(scope="session")
def _list_server() -> Iterator[ListServer]:
    from list_server import running  # noqa: PLC0415  # loads a server

    with running() as made:
        yield made


@pytest.fixture
def list_server(_list_server: ListServer) -> ListServer:
    """A server of lists on this machine, as new."""
    _list_server.reset()
    return _list_server


@pytest.fixture
def sink() -> MemorySink:
    """An audit sink in memory."""
    return MemorySink()


@pytest.fixture
def make_gate(sink: MemorySink, log: Any) -> MakeGate:
    """Makes gates from lists in memory, with a clock that stands still."""

    def make(
        lists: Sequence[HashList],
        *,
        policies: Mapping[str, ListPolicy] | None = None,
        unreadable: Fallback = Fallback.REFUSE,
        encoded: Encoded = Encoded.REFUSE,
        limits: Limits | None = None,
        record_allowed: bool = False,
        index: Index | None = None,
        clock: Callable[[], datetime] = lambda: NOW,
        audit: AuditSink = sink,
        logger: Any = log,
        reduce_jpegs: bool = False,
        families: Collection[Family] = (),
        exceptions: Exceptions = NONE,
    ) -> Gate:
        policy = Policy(
            lists=policies
            or {one.name: ListPolicy(one.algorithm.default_threshold) for one in lists},
            unreadable=unreadable,
            encoded=encoded,
            digest="policy",
        )
        canary = load_canary(one.algorithm for one in lists)
        numbers = count(1)
        return Gate(
            shelf=Shelf(
                index=Index([*(policy.fit_entries(one) for one in lists), *canary.lists])
                if index is None
                else index,
                ages={one.name: one.as_of for one in lists},
                digests={one.name: one.digest for one in lists},
            ),
            policy=policy,
            canary=canary,
            journal=Journal(
                audit,
                provenance=Provenance("policy", {}),
                subject_key=b"k" * 32,
                record_allowed=record_allowed,
            ),
            limits=limits or Limits(),
            clock=clock,
            stopwatch=lambda: 0.0,
            new_id=lambda: f"decision-{next(numbers)}",
            log=logger,
            reduce_jpegs=reduce_jpegs,
            families=families,
            exceptions=exceptions,
        )

    return make


@pytest.fixture(scope="session")
def listed_photo() -> Path:
    """A photo that the shipped lists hold."""
    return LISTED["astronaut"]


@pytest.fixture(scope="session")
def unlisted_photo() -> Path:
    """A photo that they do not hold."""
    return UNLISTED["flower"]


# ── The command line ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Writes a configuration whose audit log is in a folder of its own."""

    def write(*lists: str, tables: str = "", audit: str = "audit.db", more: str = "") -> Path:
        file = tmp_path / "gate.toml"
        tabled = "\n".join(f"[[lists]]\n{one}\n" for one in lists or (SAMPLE,))
        file.write_text(
            f'{tabled}\n{tables}\n[audit]\nurl = "sqlite:///{audit}"\n{more}\n', encoding="utf-8"
        )
        return file

    return write


@pytest.fixture
def config(configure: Configure) -> Path:
    return configure()


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    """A file that is no picture."""
    file = tmp_path / "garbage.png"
    file.write_bytes(b"no picture")
    return file


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A picture without any structure."""
    file = tmp_path / "flat.png"
    file.write_bytes(FLAT)
    return file


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A picture on no list."""
    file = tmp_path / "drawn.png"
    file.write_bytes(encode(scene(1), "PNG"))
    return file


@pytest.fixture
def recorded(config: Path, listed_photo: Path, garbage: Path) -> Path:
    """A configuration whose log holds three refusals."""
    run("check", listed_photo, garbage, listed_photo, "-c", config)
    return config
