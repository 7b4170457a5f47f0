"""The documentation against the code: what it must name, and that its examples hold."""

from __future__ import annotations

import io
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from samples import CONFIG, ROOT

import initgate
from initgate import Algorithm, Reason, load_settings
from initgate.cli import app
from initgate.config import (
    VIEW_FAMILIES,
    AuditSettings,
    ExceptionsSettings,
    FeedSettings,
    GateSettings,
    KeySettings,
    ListSettings,
    LogSettings,
    ProxySettings,
    ServeSettings,
    StoreSettings,
)
from initgate.errors import InitImageRefused
from initgate.image import encode
from initgate.lint import Flaw
from initgate.lists import Format, load
from initgate.model import Action
from initgate.testing import scene

DOCS = ROOT / "docs"
ADRS = sorted((DOCS / "adr").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *ADRS]
OPERATOR = (DOCS / "operator.md").read_text()
SERVICE = (DOCS / "service.md").read_text()
INTEGRATOR = (DOCS / "integrator.md").read_text()
CURATOR = (DOCS / "list-curator.md").read_text()
CONTRIBUTOR = (DOCS / "contributor.md").read_text()

TABLES: dict[str, type[BaseModel]] = {
    "lists": ListSettings,
    "feeds": FeedSettings,
    "store": StoreSettings,
    "gate": GateSettings,
    "exceptions": ExceptionsSettings,
    "audit": AuditSettings,
    "log": LogSettings,
    "serve": ServeSettings,
    "serve.keys": KeySettings,
    "proxy": ProxySettings,
}
KEYS = [(table, key) for table, model in TABLES.items() for key in model.model_fields]

# Defaults that are no plain value: what the table says instead.
SPOKEN_DEFAULTS = {
    "lists.name": "required",
    "lists.path": "required",
    "lists.feed": "none",
    "lists.warn_after": "`never`",
    "feeds.name": "required",
    "feeds.source": "required",
    "feeds.credentials": "none",
    "feeds.format": "by suffix",
    "feeds.canary": "none",
    "feeds.poll": "`never`",
    "feeds.sha256": "none",
    "feeds.public_keys": "none",
    "feeds.root": "none",
    "feeds.target": "none",
    "lists.format": "by suffix",
    "lists.threshold": "by algorithm",
    "lists.flag_threshold": "none",
    "lists.max_age": "`never`",
    "store.key": "none",
    "exceptions.path": "none",
    "audit.subject_key": "random",
    "serve.keys": "none",
    "serve.keys.name": "required",
    "serve.keys.sha256": "required",
    "serve.keys.roles": '`["check"]`',
    "proxy.upstream": "none",
    "proxy.client_header": "none",
    "proxy.metrics_port": "none",
}


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    page: Path
    line: int
    info: tuple[str, ...]
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def _blocks() -> Iterator[Block]:
    fence = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for page in PAGES:
        text = page.read_text()
        for found in fence.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Block(page, line, tuple(found[1].split()), found[2])


BLOCKS = list(_blocks())


def _in(language: str, *marks: str) -> list[Block]:
    """The blocks of a language that carry all of some marks."""
    return [one for one in BLOCKS if one.info[:1] == (language,) and {*marks} <= {*one.info}]


def _prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _rows(text: str) -> dict[str, list[str]]:
    """Table rows whose first cell is one name in code: name → the other cells."""
    cells = (re.split(r"\s*\|\s*", line.strip("| ")) for line in text.splitlines())
    found = {}
    for first, *others in cells:
        if name := re.fullmatch(r"`([^`]+)`", first):
            found[name[1]] = others
    return found


def _section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of any level."""
    return re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


# ── What the docs must name ───────────────────────────────────────────────────────────────────


def _commands(command: Any, path: str = "initgate") -> Iterator[tuple[str, Any]]:
    """Every command that does something: its words and click's object."""
    if children := getattr(command, "commands", None):
        for name, child in children.items():
            yield from _commands(child, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_explained_to_operators(command: str) -> None:
    assert re.search(rf"^\| `{command}\b[^`]*` \|", OPERATOR, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_mentioned(command: str) -> None:
    options = [long for one in COMMANDS[command].params for long in one.opts if long[:2] == "--"]
    text = OPERATOR + CURATOR + SERVICE
    assert [one for one in options if one != "--help" and one not in text] == []


@pytest.mark.parametrize(
    "words",
    sorted(
        {
            found[0]
            for page in PAGES
            for found in re.finditer(
                r"(?:(?<=`)|^)initgate (?:lists|audit|exceptions|keys) [a-z-]+",
                page.read_text(),
                re.MULTILINE,
            )
        }
    ),
)
def test_every_subcommand_that_is_mentioned_exists(words: str) -> None:
    assert words in COMMANDS


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_every_setting_stands_in_the_operators_table_with_its_default(table: str, key: str) -> None:
    default, _meaning = _rows(_section(OPERATOR, "Every setting"))[f"{table}.{key}"]
    value = TABLES[table].model_fields[key].default
    if f"{table}.{key}" in SPOKEN_DEFAULTS:
        assert default == SPOKEN_DEFAULTS[f"{table}.{key}"]
    else:
        value = list(value) if isinstance(value, tuple) else value  # as TOML writes it
        assert default == (f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`")


def test_the_operators_table_has_no_setting_that_does_not_exist() -> None:
    known = {f"{table}.{key}" for table, key in KEYS}
    assert _rows(_section(OPERATOR, "Every setting")).keys() == known


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_the_shipped_configuration_mentions_every_setting(table: str, key: str) -> None:
    parts = re.split(r"^(?:# )?\[+([a-z.]+)\]+", CONFIG.read_text(), flags=re.MULTILINE)
    names, texts = parts[1::2], parts[2::2]
    of_table = [part for name, part in zip(names, texts, strict=True) if name == table]
    is_table = f"{table}.{key}" in names
    assert is_table or re.search(rf"^(# )?{key} = ", "\n".join(of_table), re.MULTILINE)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_with_what_to_do(reason: Reason) -> None:
    rows = _rows(_section(OPERATOR, "Reasons, and what to do about each"))
    verdict, meaning, advice = rows[reason.value]
    assert verdict.startswith(
        "allowed" if reason in {Reason.NO_MATCH, Reason.FLAGGED, Reason.RELEASED} else "refused"
    )
    assert meaning
    assert advice


def test_no_reason_is_explained_that_does_not_exist() -> None:
    rows = _rows(_section(OPERATOR, "Reasons, and what to do about each"))
    assert rows.keys() == {one.value for one in Reason}


@pytest.mark.parametrize("action", Action)
def test_every_action_is_explained(action: Action) -> None:
    assert f"`{action.value}`" in _rows(_section(OPERATOR, "Every setting"))["lists.action"][1]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_algorithm_stands_in_the_curators_table_with_its_numbers(
    algorithm: Algorithm,
) -> None:
    bits, default, most, why = _rows(_section(CURATOR, "Algorithms and thresholds"))[algorithm]
    assert (int(bits), int(default), int(most)) == (
        algorithm.bits,
        algorithm.default_threshold,
        algorithm.max_threshold,
    )
    assert why


@pytest.mark.parametrize("flaw", Flaw)
def test_every_flaw_is_explained_to_curators(flaw: Flaw) -> None:
    assert _rows(_section(CURATOR, "Entries at fault"))[flaw.value] != [""]


@pytest.mark.parametrize("family", VIEW_FAMILIES)
def test_every_view_that_may_have_an_offset_is_named_to_curators(family: str) -> None:
    assert f"`{family}`" in _section(CURATOR, "Decisions in between")


@pytest.mark.parametrize("field", ["algorithm", "hash", "entry", "quality", "tags"])
def test_every_field_of_a_list_is_explained(field: str) -> None:
    assert _rows(_section(CURATOR, "File formats"))[field]


@pytest.mark.parametrize("name", initgate.__all__)
def test_every_public_name_is_told_to_integrators(name: str) -> None:
    assert f"`{name}" in INTEGRATOR


def test_the_refusal_message_is_quoted_as_it_is() -> None:
    assert InitImageRefused.MESSAGE in INTEGRATOR


def test_every_field_of_a_record_is_explained(sample_gate: initgate.Gate) -> None:
    sample_gate.check(b"no image")
    (record,) = sample_gate.journal.sink.last(1)
    section = _section(OPERATOR, "What a record holds")
    assert [one for one in record.event if f"`{one}`" not in section] == []


def test_contributors_are_told_of_the_makefiles_verbs_and_no_others() -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {one.removeprefix("make ") for one in _rows(_section(CONTRIBUTOR, "Work on it"))}
    assert told == verbs - {"dev", "clean"}


def test_every_room_is_on_the_contributors_map() -> None:
    rooms = {
        path.name if path.suffix else f"{path.name}/"
        for path in (ROOT / "src/initgate").iterdir()
        if not path.name.startswith("__") and path.name != "py.typed"
    }
    assert _rows(_section(CONTRIBUTOR, "The way of the data")).keys() == rooms


# ── Decision records ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("adr", ADRS, ids=lambda p: p.stem)
def test_every_decision_record_has_the_three_parts(adr: Path) -> None:
    headings = re.findall(r"^## (.+)$", adr.read_text(), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences"]


@pytest.mark.parametrize("adr", ADRS, ids=lambda p: p.stem)
def test_every_decision_record_is_linked_from_the_contributors_page(adr: Path) -> None:
    assert f"(adr/{adr.name})" in CONTRIBUTOR


def test_decision_records_are_numbered_without_gaps() -> None:
    assert [int(adr.name[:4]) for adr in ADRS] == list(range(1, len(ADRS) + 1))


# ── Links ─────────────────────────────────────────────────────────────────────────────────────


def _anchors(page: Path) -> set[str]:
    """The anchors that headings get on GitHub."""
    headings = re.findall(r"^#+ (.+)$", _prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def _links(page: Path) -> list[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", _prose(page.read_text()))
    return [one for one in targets if not re.match(r"[a-z]+:", one)]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_relative_link_resolves(page: Path) -> None:
    broken = []
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_lost = not target.exists() or (anchor and anchor not in _anchors(target))
        broken += [link] if is_lost else []
    assert broken == []


# ── Examples ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("block", _in("toml"), ids=str)
def test_toml_examples_load_as_settings(block: Block, tmp_path: Path) -> None:
    code = block.code
    if "lists" not in tomllib.loads(code):
        code += '\n[[lists]]\nname = "a"\npath = "a.csv"\n'
    file = tmp_path / "gate.toml"
    file.write_text(code)
    assert load_settings(file).lists


@pytest.mark.parametrize("block", _in("csv"), ids=str)
def test_csv_examples_are_lists(block: Block) -> None:
    data = io.BytesIO(block.code.encode())
    name = str(block)
    assert load(
        data, name=name, source=name, file_format=Format.CSV, algorithm=Algorithm.PDQ
    ).digest


def test_the_json_lines_example_is_a_list() -> None:
    (data,) = (io.BytesIO(one.code.encode()) for one in _in("json") if '"algorithm"' in one.code)
    assert load(
        data, name="a", source="a", file_format=Format.JSONL, algorithm=Algorithm.PDQ
    ).digest


@pytest.mark.parametrize("block", _in("python"), ids=str)
def test_python_examples_compile(block: Block) -> None:
    compile(block.code, str(block), "exec")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where examples run: what a checkout holds, and a picture that is on no list."""
    for name in ("config", "hashlists"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "photo.png").write_bytes(encode(scene(7), "PNG"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "block", [one for one in _in("python", "runnable") if "diffusers" not in one.info], ids=str
)
def test_runnable_python_examples_run(block: Block) -> None:
    exec(compile(block.code, str(block), "exec"), {})  # noqa: S102  # our own documentation


@pytest.mark.usefixtures("folder")
@pytest.mark.diffusers
@pytest.mark.skipif(util.find_spec("diffusers") is None, reason="needs the extra diffusers")
@pytest.mark.parametrize("block", _in("python", "runnable", "diffusers"), ids=str)
def test_runnable_diffusers_examples_run(block: Block) -> None:
    from initgate.integrations.diffusers import uninstall  # noqa: PLC0415  # heavy, and an extra

    try:
        exec(compile(block.code, str(block), "exec"), {})  # noqa: S102  # our own documentation
    finally:
        uninstall()


# ── Deployment ────────────────────────────────────────────────────────────────────────────────


def test_the_container_is_built_of_the_source_alone_and_runs_as_nobody_special() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from=build)(.+) \S+$", text, re.MULTILINE)
    assert {name for line in copied for name in line.split()} == {
        *("pyproject.toml", "README.md", "LICENSE", "src")
    }
    assert re.search(r"^USER [1-9]\d+$", text, re.MULTILINE)


def test_the_configuration_for_containers_loads() -> None:
    settings = load_settings(ROOT / "deploy/initgate.toml")
    assert settings.serve.keys


def test_the_unit_and_the_container_run_the_command() -> None:
    assert "bin/initgate serve " in (ROOT / "deploy/initgate.service").read_text()
    assert 'CMD ["serve", ' in (ROOT / "deploy/Dockerfile").read_text()
