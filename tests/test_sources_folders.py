"""Folders of files: on a disk, behind HTTP, in a store that fsspec knows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from initgate.errors import ConfigError
from initgate.sources.folders import WritableFolder, open_folder, open_writable


@pytest.fixture(params=["path", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> WritableFolder:
    if request.param == "memory":
        pytest.importorskip("fsspec")
        return open_writable(f"memory://{tmp_path.name}")
    return open_writable(str(tmp_path) if request.param == "path" else tmp_path.as_uri())


def _content(folder: WritableFolder, name: str) -> bytes:
    return b"".join(folder.read(name))


def test_what_is_written_is_read(folder: WritableFolder) -> None:
    folder.write("metadata/1.root.json", [b"a", b"b"])
    assert _content(folder, "metadata/1.root.json") == b"ab"


def test_a_file_is_replaced(folder: WritableFolder) -> None:
    folder.write("a/b", [b"long content"])
    folder.write("a/b", [b"new"])
    assert _content(folder, "a/b") == b"new"


def test_what_cannot_be_written_whole_is_not_written(folder: WritableFolder) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the source was cut off")

    folder.write("a/b", [b"whole"])
    with pytest.raises(OSError, match="cut off"):
        folder.write("a/b", broken())
    assert _content(folder, "a/b") == b"whole"
    assert folder.names("a") == ["b"]


def test_names_are_those_of_one_folder(folder: WritableFolder) -> None:
    for name in ("a/2", "a/1", "b/3"):
        folder.write(name, [b"x"])
    assert folder.names("a") == ["1", "2"]
    assert folder.names("c") == []


def test_what_was_removed_is_not_found(folder: WritableFolder) -> None:
    folder.write("a/b", [b"x"])
    folder.remove("a/b")
    folder.remove("a/b")  # which changes nothing
    with pytest.raises(FileNotFoundError):
        _content(folder, "a/b")


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/etc/hostname", "a//b", "", "a\nb"])
def test_no_name_leads_out_of_the_folder(folder: WritableFolder, name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no name of a file within"):
        _content(folder, name)
    with pytest.raises(FileNotFoundError):
        folder.write(name, [b"x"])


def test_a_store_that_nobody_knows_is_told() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises(ConfigError, match="nowhere"):
        open_folder("nowhere://lists")


# ── HTTP ─────────────────────────────────────────────────────────────────────────────────────


class _Handler(BaseHTTPRequestHandler):
    """Serves ``/lists/found``, and answers the number that is asked for otherwise."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        last = self.path.rpartition("/")[2]
        body = b"content"
        self.send_response(int(last) if last.isdecimal() else 200)
        self.send_header("Location", "/lists/found")
        self.send_header("Content-Length", str(100 if last == "cut" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def served() -> Iterator[tuple[str, list[str]]]:
    """The URL of a folder, and what was asked of it."""
    pytest.importorskip("urllib3")
    asked: list[str] = []
    handler = type("Handler", (_Handler,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/lists", asked
        server.shutdown()
        thread.join()


def test_a_file_is_fetched_from_a_web_server(served: tuple[str, list[str]]) -> None:
    url, asked = served
    assert b"".join(open_folder(url).read("found")) == b"content"
    assert asked == ["/lists/found"]


@pytest.mark.parametrize("status", [403, 404])
def test_what_a_web_server_does_not_give_is_not_found(
    served: tuple[str, list[str]], status: int
) -> None:
    with pytest.raises(FileNotFoundError, match=f"status {status}"):
        list(open_folder(served[0]).read(str(status)))


@pytest.mark.parametrize("status", [301, 302, 307, 401])
def test_nothing_else_is_taken_for_a_file_and_no_redirect_followed(
    served: tuple[str, list[str]], status: int
) -> None:
    url, asked = served
    with pytest.raises(OSError, match=f"status {status}"):
        list(open_folder(url).read(str(status)))
    assert asked == [f"/lists/{status}"]


def test_a_connection_that_is_cut_is_an_error(served: tuple[str, list[str]]) -> None:
    with pytest.raises(OSError, match="cut"):
        list(open_folder(served[0]).read("cut"))


def test_a_server_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("urllib3")
    monkeypatch.setattr("initgate.sources.folders._RETRIES", 0)
    with pytest.raises(OSError, match="127"):
        list(open_folder("http://127.0.0.1:1/lists").read("found"))


def test_a_server_that_sends_headers_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("urllib3")
    monkeypatch.setattr("initgate.sources.folders._RETRIES", 0)
    monkeypatch.setattr("initgate.sources.folders._HEAD_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while True:
                    connection.sendall(b"x")
                    time.sleep(0.01)

        thread = threading.Thread(target=trickle)
        thread.start()
        with pytest.raises(OSError, match="its headers did not come within"):
            list(open_folder(f"http://127.0.0.1:{listening.getsockname()[1]}/lists").read("found"))
        thread.join()


def test_no_password_in_an_address_is_shown(served: tuple[str, list[str]]) -> None:
    url = served[0].replace("//", "//user:sesame@")
    for name in ("404", "401", "cut"):
        with pytest.raises(OSError, match="127") as raised:
            list(open_folder(url).read(name))
        assert "sesame" not in str(raised.value)
    for open_one in (open_folder, open_writable):
        with pytest.raises(ConfigError) as refused:
            open_one(f"http://user:sesame@example.org:{'1' * 9}/lists")
        assert "sesame" not in str(refused.value)


def test_lists_do_not_travel_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="allowed: https"):
        open_folder("http://example.org/lists")


def test_a_web_server_takes_no_files() -> None:
    with pytest.raises(ConfigError, match="takes no files"):
        open_writable("https://example.org/lists")
