from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from samples import CONFIG, ROOT

import initgate
from initgate.image import encode
from initgate.testing import scene

PACKAGE = ROOT / "src/initgate"
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = {
    *("torch", "diffusers", "transformers", "matplotlib", "skimage"),
    *("httpx", "httpx2", "httpcore2", "fsspec", "tenacity", "lxml", "ijson"),
    *("fastapi", "starlette", "uvicorn", "prometheus_client", "python_multipart"),
    *("cryptography", "tuf", "urllib3"),
}

# Read here: the configuration takes every INITGATE_ variable for a setting, so tests have none.
IS_BARE_INSTALL_WANTED = os.environ.get("INITGATE_TEST_BARE_INSTALL") == "1"


def run(
    *command: str | Path, cwd: Path | None = None, timeout_s: int = 600
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own commands
        list(map(str, command)),
        capture_output=True,
        encoding="utf-8",
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        | {"PYTHONIOENCODING": "utf-8"},
        cwd=cwd,
        check=False,
        timeout=timeout_s,
    )


# ── What an import costs ──────────────────────────────────────────────────────────────────────


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after some code."""
    lines = (
        "import sys, json",
        "try:",
        *(f"    {line}" for line in code.splitlines()),
        "except SystemExit: pass",
        "print()",
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))",
    )
    result = run(sys.executable, "-c", "\n".join(lines))
    assert result.stderr == ""
    return set(json.loads(result.stdout.splitlines()[-1]))


def command(*arguments: str | Path) -> str:
    given = ["initgate", *map(str, arguments)]
    return f"from initgate.cli import main\nsys.argv = {given!r}\nmain()"


def test_an_import_loads_nothing_heavy() -> None:
    loaded = loaded_by("import initgate")
    assert "initgate" in loaded
    assert not loaded & HEAVY


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by(command("--help"))
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_an_import_loads_no_command_line() -> None:
    assert "typer" not in loaded_by("import initgate")


def test_a_check_loads_nothing_heavy(tmp_path: Path, listed_photo: Path) -> None:
    (tmp_path / "gate.toml").write_text(
        f'[[lists]]\nname = "a"\npath = "{ROOT.as_posix()}/hashlists/sample-pdq.csv"\n'
    )
    loaded = loaded_by(command("check", listed_photo, "-c", tmp_path / "gate.toml"))
    assert "faiss" in loaded
    assert not loaded & HEAVY


# ── The namespace ─────────────────────────────────────────────────────────────────────────────


def test_all_is_what_is_public() -> None:
    public = {
        name
        for name, value in vars(initgate).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }
    assert set(initgate.__all__) == public


def test_all_is_sorted() -> None:
    assert list(initgate.__all__) == sorted(set(initgate.__all__))


@pytest.mark.parametrize("name", initgate.__all__)
def test_every_public_name_is_ours_and_documented(name: str) -> None:
    public = getattr(initgate, name)
    if name != "Verdict":  # a union of two documented classes
        assert public.__module__.startswith("initgate.")
        assert public.__doc__


def test_what_the_docstring_imports_is_there() -> None:
    assert initgate.__doc__ is not None
    (names,) = re.findall(r"from initgate import (.+)", initgate.__doc__)
    assert set(names.split(", ")) <= set(initgate.__all__)


# ── The wheel ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source, built without a network."""
    if util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    built = run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"),
        *("--no-index", "--disable-pip-version-check", "--wheel-dir", folder, ROOT),
    )
    assert built.returncode == 0, built.stderr
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="session")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as opened:
        return set(opened.namelist())


@pytest.fixture(scope="session")
def wheel_metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (one for one in opened.namelist() if one.endswith(".dist-info/METADATA"))
        return Parser().parsestr(opened.read(name).decode())


@pytest.mark.parametrize(
    "name", ["benign/hashes.csv", "canary/picture.png", "canary/hashes.csv", "py.typed"]
)
def test_the_wheel_holds_what_is_no_code(contents: set[str], name: str) -> None:
    assert f"initgate/{name}" in contents


def test_the_wheel_holds_the_whole_package(contents: set[str]) -> None:
    sources = {file.relative_to(ROOT / "src").as_posix() for file in PACKAGE.rglob("*.py")}
    assert sources <= contents


def test_the_wheel_holds_the_licence(contents: set[str]) -> None:
    assert any(re.fullmatch(r"initgate-[^/]+\.dist-info/licenses/LICENSE", n) for n in contents)


def test_the_wheel_holds_nothing_else(contents: set[str]) -> None:
    tops = {name.partition("/")[0] for name in contents}
    assert tops == {"initgate", f"initgate-{initgate.__version__}.dist-info"}
    assert not [name for name in contents if "test_" in name or "__pycache__" in name]


def test_the_wheel_is_of_the_version_of_the_package(wheel_metadata: Message) -> None:
    assert wheel_metadata["Version"] == initgate.__version__


def test_the_wheel_needs_no_extra_by_itself(wheel_metadata: Message) -> None:
    needed = [one for one in wheel_metadata.get_all("Requires-Dist", []) if "extra ==" not in one]
    assert sorted(needed) == sorted(PYPROJECT["project"]["dependencies"])


# ── The declarations ──────────────────────────────────────────────────────────────────────────


def test_the_installed_version_is_that_of_the_package() -> None:
    assert metadata.version("initgate") == initgate.__version__


def test_the_version_stands_in_one_place() -> None:
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert "version" not in PYPROJECT["project"]


def test_the_command_is_the_command_line() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="initgate")
    from initgate.cli import main  # noqa: PLC0415  # only this test needs it

    assert script.load() is main


def imported_by(folder: Path) -> set[str]:
    """Top-level modules that files import when they are loaded."""
    names: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_what_the_package_imports_is_declared() -> None:
    declared = {
        re.split(r"[\[<>=! ]", one)[0]
        for one in (
            *PYPROJECT["project"]["dependencies"],
            *PYPROJECT["project"]["optional-dependencies"]["diffusers"],
            *PYPROJECT["project"]["optional-dependencies"]["demo"],
            *PYPROJECT["project"]["optional-dependencies"]["trust"],
            *PYPROJECT["project"]["optional-dependencies"]["sources"],
            *PYPROJECT["project"]["optional-dependencies"]["serve"],
            *PYPROJECT["project"]["optional-dependencies"]["proxy"],
        )
    } | {"pydantic-core", "starlette", "anyio"}  # pydantic's and FastAPI's other halves
    modules = imported_by(PACKAGE) - sys.stdlib_module_names - {"initgate"}
    providers = metadata.packages_distributions()
    undeclared = {
        module
        for module in modules
        if not {name.lower().replace("_", "-") for name in providers.get(module, [])} & declared
    }
    installed = {module for module in undeclared if util.find_spec(module) is not None}
    assert installed == set()


# ── The layers ────────────────────────────────────────────────────────────────────────────────


def test_the_layers_hold() -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    if not lint_imports.exists():
        pytest.skip("import-linter is not installed")
    result = run(lint_imports, "--no-cache", cwd=ROOT)
    assert (result.returncode, "0 broken." in result.stdout) == (0, True), result.stdout


@pytest.mark.parametrize(
    "contract",
    [one for one in PYPROJECT["tool"]["importlinter"]["contracts"] if one["type"] == "forbidden"],
    ids=lambda contract: contract["name"],
)
def test_a_door_is_the_only_module_its_contract_leaves_out(contract: dict[str, Any]) -> None:
    door = contract["name"].rpartition(": ")[2]
    assert contract["source_modules"] == ["initgate.**"]
    for ignored in contract["ignore_imports"]:
        importer, _, imported = ignored.partition(" -> ")
        assert importer.split(".")[:2] == ["initgate", door]
        assert imported in contract["forbidden_modules"]


# ── The files ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """Every text file of the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("no repository")
    listed = run("git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", cwd=ROOT)
    assert listed.returncode == 0, listed.stderr
    texts: dict[str, str] = {}
    for name in filter(None, listed.stdout.split("\0")):
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in data:
            texts[name] = data.decode("utf-8")
    return texts


def found(tracked: dict[str, str], pattern: str) -> list[tuple[str, str]]:
    return [
        (name, hit.group())
        for name, text in tracked.items()
        for hit in re.finditer(pattern, text, re.IGNORECASE | re.MULTILINE)
    ]


def test_no_file_holds_a_path_of_one_machine(tracked: dict[str, str]) -> None:
    paths = r"(?<![\w.])/(?:home|Users|root|work|mnt|tmp)/[\w.-]+|\b[A-Z]:\\Users\\"
    assert found(tracked, paths) == []


def test_no_file_names_a_registry(tracked: dict[str, str]) -> None:
    index = r"^.*(?:index[-_]url|find[-_]links|pip[-_]index|registry\s*=|/simple\b).*$"
    hosts = [
        (name, host)
        for name, line in found(tracked, index)
        for host in re.findall(r"://(?:[^@/\s]*@)?([\w.-]+)", line)
    ]
    assert hosts == []


def test_no_file_names_a_private_host(tracked: dict[str, str]) -> None:
    private = (
        r"://[^/\s]*\.(?:internal|intranet|corp|lan|local)\b"
        r"|://(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d+\.\d+"
    )
    assert found(tracked, private) == []


def test_the_shipped_configuration_names_files_relative_to_itself() -> None:
    content = tomllib.loads(CONFIG.read_text(encoding="utf-8"))
    assert all(not Path(one["path"]).is_absolute() for one in content["lists"])
    assert all((CONFIG.parent / one["path"]).is_file() for one in content["lists"])


# ── A bare install ────────────────────────────────────────────────────────────────────────────

needs_network = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not IS_BARE_INSTALL_WANTED,
        reason="downloads the dependencies; set INITGATE_TEST_BARE_INSTALL=1",
    ),
]


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel and what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    made = run(sys.executable, "-m", "venv", folder / "venv")
    assert made.returncode == 0, made.stderr
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    installed = run(
        *(programs / "python", "-m", "pip", "install", "--disable-pip-version-check", wheel),
        timeout_s=1800,
    )
    assert installed.returncode == 0, installed.stderr
    return programs


class TestBareInstall:
    pytestmark = needs_network

    def test_it_has_no_extra(self, bare: Path) -> None:
        listed = run(bare / "python", "-m", "pip", "list", "--format", "json")
        names = {one["name"].lower() for one in json.loads(listed.stdout)}
        assert "initgate" in names
        assert not names & (HEAVY | {"pytest", "pillow-heif", "scikit-image", "scikit-learn"})

    def test_it_imports(self, bare: Path, tmp_path: Path) -> None:
        result = run(
            bare / "python", "-c", "import initgate; print(initgate.__version__)", cwd=tmp_path
        )
        assert (result.stderr, result.stdout.strip()) == ("", initgate.__version__)

    def test_every_module_but_the_integrations_and_tuf_imports(
        self, bare: Path, tmp_path: Path
    ) -> None:
        names = [
            ".".join(file.relative_to(ROOT / "src").with_suffix("").parts)
            for file in PACKAGE.rglob("*.py")
            if "integrations" not in file.parts and file.parent.name != "tuf"
        ]
        result = run(bare / "python", "-c", f"import {', '.join(names)}", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")

    def test_it_has_help(self, bare: Path, tmp_path: Path) -> None:
        result = run(bare / "initgate", "--help", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert "Usage" in result.stdout

    def test_it_checks(self, bare: Path, tmp_path: Path, unlisted_photo: Path) -> None:
        picture = tmp_path / "picture.png"
        picture.write_bytes(encode(scene(1), "PNG"))
        built = run(
            *(bare / "initgate", "lists", "build", picture, "-o", "a.csv", "-n", "a"),
            cwd=tmp_path,
        )
        assert (built.returncode, built.stderr) == (0, "")
        (tmp_path / "initgate.toml").write_text('[[lists]]\nname = "a"\npath = "a.csv"\n')
        result = run(bare / "initgate", "check", picture, unlisted_photo, "--json", cwd=tmp_path)
        assert result.returncode == 3, result.stderr
        verdicts = [json.loads(line)["verdict"] for line in result.stdout.splitlines()]
        assert verdicts == ["refused", "allowed"]

    def test_its_doctor_finds_it_sound_and_names_the_extras(
        self, bare: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "a.csv").write_bytes((ROOT / "hashlists/sample-pdq.csv").read_bytes())
        (tmp_path / "initgate.toml").write_text('[[lists]]\nname = "a"\npath = "a.csv"\n')
        result = run(bare / "initgate", "doctor", cwd=tmp_path)
        assert (result.returncode, result.stderr) == (0, "")
        assert "pip install 'initgate[diffusers]'" in result.stdout

    def test_its_demo_says_what_to_install(self, bare: Path, tmp_path: Path) -> None:
        (tmp_path / "initgate.toml").write_text('[[lists]]\nname = "a"\npath = "a.csv"\n')
        result = run(bare / "initgate", "demo", cwd=tmp_path)
        assert result.returncode == 2
        assert "pip install 'initgate[demo]'" in result.stderr
        assert "Traceback" not in result.stderr
