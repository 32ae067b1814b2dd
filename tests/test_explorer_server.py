"""The explorer's server: what it answers, whom it answers, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latente import Autoencoder, datasets
from latente.explorer import Scene, explore, packed, watch_fit
from latente.explorer.decoding import LatestWins
from latente.explorer.guard import BODY_SECONDS, PatientProtocol
from latente.explorer.requests import LARGEST_BODY
from latente.explorer.server import Server, static_table

pytest.importorskip("starlette", reason="the explorer needs starlette")


class Client:
    """Asks a server over a real socket."""

    def __init__(self, server: Server) -> None:
        self.host, self.port = "127.0.0.1", server.port

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def arrays(self, path: str, body: Any = None, kind: str = "application/json") -> Any:
        sent = json.dumps(body) if isinstance(body, dict) else body
        method = "GET" if body is None else "POST"
        status, content, _ = self.ask(method, path, sent, {"content-type": kind})
        assert status == 200, content
        return packed.unpack(content)

    def json(self, path: str) -> Any:
        status, content, _ = self.ask("GET", path)
        assert status == 200, content
        return json.loads(content)

    def raw(self, data: bytes, wait: float = 3.0) -> bytes:
        """Send bytes as they are, and return what comes back until the other side hangs up."""
        found = b""
        with socket.create_connection((self.host, self.port), timeout=wait) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while part := sock.recv(65536):
                    found += part
            except OSError:
                pass
        return found


@pytest.fixture(scope="module")
def data() -> Any:
    return datasets.load("digits")


@pytest.fixture(scope="module")
def scene(data: Any) -> Scene:
    ae = Autoencoder(3, network="dense(hidden=[16])", epochs=2, random_state=0).fit(data.X)
    return Scene([ae, "pca"], data.X_test, data.y_test, train=data.X)


@pytest.fixture(scope="module")
def server(scene: Scene) -> Iterator[Server]:
    made = Server(scene, port=0)
    made.start()
    yield made
    made.stop()
    assert made.ended.is_set()


@pytest.fixture(scope="module")
def client(server: Server) -> Client:
    return Client(server)


class TestAnswers:
    def test_info(self, client: Client, scene: Scene) -> None:
        info = client.json("/api/info")
        assert info["n"] == len(scene)
        assert info["data"]["shape"] == [8, 8]
        assert [model["kind"] for model in info["models"]] == ["autoencoder", "pca"]
        assert [each["dim"] for each in info["models"][0]["dims"]] != []
        assert info["models"][0]["density"]["levels"] == sorted(
            info["models"][0]["density"]["levels"], reverse=True
        )
        assert info["learning"] is None
        assert info["data"]["ink"] is True
        assert {each["name"] for each in info["damages"]} >= {"noise", "mask"}

    def test_what_is_on_the_map(self, client: Client, scene: Scene) -> None:
        points = client.arrays("/api/points?model=1")[0]["points"]
        np.testing.assert_array_equal(points, scene.views[1].points)
        values = client.arrays("/api/column?name=anomaly%20score&model=1")[0]["values"]
        np.testing.assert_array_equal(values, scene.views[1].rows.scores)
        assert client.arrays("/api/density")[0]["values"].shape == (128, 128)

    def test_thumbnails(self, client: Client) -> None:
        status, content, headers = client.ask("GET", "/api/thumbnails?first=1&count=33")
        assert (status, headers["content-type"]) == (200, "image/png")
        assert Image.open(io.BytesIO(content)).size == (256, 16)

    def test_samples_and_places(self, client: Client, scene: Scene) -> None:
        found = client.arrays("/api/samples", {"ids": [4, 2]})[0]
        assert found["originals"].shape == found["decoded"].shape == (2, 8, 8, 1)
        np.testing.assert_array_equal(found["codes"], scene.views[0].codes[[4, 2]])
        codes = client.arrays("/api/decode", {"codes": found["codes"].tolist()})[0]
        difference = codes["decoded"].astype(int) - found["decoded"]
        assert np.abs(difference).max() <= 1
        assert codes["nearest"].tolist() == [4, 2]
        place = client.arrays(
            "/api/decode", {"at": found["points"].tolist(), "base": found["codes"][0].tolist()}
        )[0]
        np.testing.assert_allclose(place["codes"][0], found["codes"][0], atol=1e-4)

    def test_what_is_sent_is_encoded(self, client: Client, scene: Scene) -> None:
        pixels = client.arrays("/api/samples", {"ids": [7]})[0]["originals"]
        found = client.arrays("/api/encode", pixels.tobytes(), "application/octet-stream")[0]
        assert found["similar"].shape == (1, 12)
        assert found["similar"][0, 0] == 7
        assert 0 <= found["percentile"][0] <= 1
        buffer = io.BytesIO()
        Image.fromarray(pixels[0, ..., 0]).save(buffer, "PNG")
        again = client.arrays("/api/encode", buffer.getvalue(), "image/png")[0]
        np.testing.assert_array_equal(again["codes"], found["codes"])

    def test_damage_and_directions(self, client: Client) -> None:
        asked = {"id": 3, "damages": {"noise": 0.4, "blur": 1}, "seed": 5}
        first, meta = client.arrays("/api/damage", asked)
        again, _ = client.arrays("/api/damage", asked)
        np.testing.assert_array_equal(first["damaged"], again["damaged"])
        assert meta["psnr_damaged"] < 40
        pixels = base64.b64encode(bytes(64)).decode()
        assert client.arrays("/api/damage", {"picture": pixels})[0]["damaged"].max() == 0
        vector, meta = client.arrays("/api/direction", {"with": [1, 2, 3], "without": [4, 5]})
        assert vector["direction"].shape == (3,)
        assert (meta["with"], meta["without"]) == (3, 2)

    def test_headers(self, client: Client) -> None:
        _, _, headers = client.ask("GET", "/api/info")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"

    def test_only_files_of_the_page_are_served(self, tmp_path: Path) -> None:
        (tmp_path / "vendor").mkdir()
        (tmp_path / "vendor" / "a.js").write_text("1")
        (tmp_path / ".hidden").write_text("1")
        table = static_table(tmp_path)
        assert {name: kind for name, (_, kind) in table.items()} == {
            "vendor/a.js": "text/javascript"
        }


class TestLatestWins:
    def test_a_later_request_replaces_an_earlier_one_of_its_pointer(self) -> None:
        gate, batches = threading.Event(), []

        def work(group: object, items: list[int]) -> list[int]:
            gate.wait(5)
            batches.append(list(items))
            return [10 * item for item in items]

        async def play() -> list[int | None]:
            with ThreadPoolExecutor(1) as pool:
                queue: LatestWins[str, int, int] = LatestWins(work, pool)
                asked = [asyncio.create_task(queue.ask("g", 0, "mouse"))]
                await asyncio.sleep(0.05)
                asked += [asyncio.create_task(queue.ask("g", i, "mouse")) for i in (1, 2)]
                asked.append(asyncio.create_task(queue.ask("g", 3)))
                asked.append(asyncio.create_task(queue.ask("g", 4, "other")))
                await asyncio.sleep(0.05)
                gate.set()
                return await asyncio.gather(*asked)

        assert asyncio.run(play()) == [None, None, 20, 30, 40]
        assert batches == [[0], [2, 3, 4]]

    def test_an_error_reaches_those_who_asked(self) -> None:
        def work(group: object, items: list[int]) -> list[int]:
            raise ValueError("no")

        async def play() -> None:
            with ThreadPoolExecutor(1) as pool:
                await LatestWins(work, pool).ask("g", 1)

        with pytest.raises(ValueError, match="no"):
            asyncio.run(play())


def wrong_requests(port: int) -> list[tuple[str, str, Any, dict[str, str]]]:
    """Return requests of which each must be refused with a sentence."""
    text = {"content-type": "application/json"}
    binary = {"content-type": "application/octet-stream"}
    paths = [
        "/api/../../etc/passwd", "/static/../server.py", "/static/..%2fserver.py",
        "/static/%2e%2e/%2e%2e/etc/passwd", "/static//etc/passwd", "/static/....//app.js",
        "/static/..%5c..%5cserver.py", "/static/%00", "/static/%ff%fe", "/static/app.js%00.png",
        "/static/~root", "/static/C:%5cwindows", "/static/.git/config", "//etc/passwd", "/..",
        "/etc/passwd", "/api", "/api/", "/api/nothing", "/static", "/static/", "/%2e%2e/",
        "/api/learning", "/" + "a" * 5000, "/api/column?name=" + "x" * 9000,
        "/api/column", "/api/column?name=", "/api/column?name=nothing", "/api/column?name=%00",
        "/api/column?name=class&model=9", "/api/points?model=2", "/api/points?model=-1",
        "/api/points?model=x", "/api/points?model=1e3", "/api/points?model=" + "9" * 400,
        "/api/points?model=0&epoch=1", "/api/points?epoch=", "/api/points?model=%E0%A5%A7",
        "/api/density?model=None", "/api/thumbnails?first=-1", "/api/thumbnails?first=100000",
        "/api/thumbnails?count=0", "/api/thumbnails?count=1025", "/api/thumbnails?count=1e9",
        "/api/thumbnails?first=nan", "/api/samples", "/api/decode",
    ]  # fmt: skip
    bodies: list[Any] = [
        None, "", "x", "[]", "null", "1", '"a"', "{", "{}", '{"ids": NaN}', '{"ids": []}',
        '{"ids": {}}', '{"ids": [-1]}', '{"ids": [1.5]}', '{"ids": ["0"]}', '{"ids": [true]}',
        '{"ids": [null]}', '{"ids": [999999]}', '{"ids": [1e3]}', '{"ids": [[0]]}', '{"ids": 0}',
        '{"ids": [0], "model": 7}', '{"ids": [0], "model": "x"}', '{"ids": [0], "model": []}',
        json.dumps({"ids": [0] * 2000}), "[" * 100_000, '{"ids":' + "[" * 100_000,
        '{"ids": [' + "9" * 5000 + "]}", "\x00", '{"ids": [0]}}', b"\xff\xfe{}", b"\x80" * 100,
    ]  # fmt: skip
    decodes = [
        "{}", '{"at": []}', '{"at": [[1]]}', '{"at": [[1, 2, 3]]}', '{"at": [["a", "b"]]}',
        '{"at": [[NaN, 0]]}', '{"at": [[Infinity, 0]]}', '{"at": [[1e999, 0]]}', '{"at": [1, 2]}',
        '{"at": [[1e300, 0]]}', '{"at": [[null, 0]]}', '{"at": [[true, 0]]}', '{"at": "x"}',
        '{"at": [[0, 0]], "codes": [[0, 0, 0]]}', '{"codes": [[0, 0]]}', '{"codes": [[]]}',
        '{"codes": 3}', '{"codes": [[0, 0, "x"]]}', '{"at": [[0, 0]], "base": [1]}',
        '{"at": [[0, 0]], "base": "x"}', '{"at": [[0, 0]], "base": [1, 2, NaN]}',
        '{"at": [[0, 0]], "pointer": 5}', '{"at": [[0, 0]], "pointer": ""}',
        json.dumps({"at": [[0, 0]], "pointer": "p" * 999}), '{"at": [[0, 0]], "model": 1.5}',
        json.dumps({"at": [[0, 0]] * 1025}), '{"at": [[' + "9" * 400 + ", 0]]}",
    ]  # fmt: skip
    damages = [
        "{}", '{"id": -1}', '{"id": "0"}', '{"id": 1, "picture": ""}', '{"picture": ""}',
        '{"picture": "@@"}', '{"picture": 5}', '{"id": 0, "damages": []}',
        '{"id": 0, "damages": {"noise": 2}}', '{"id": 0, "damages": {"noise": -1}}',
        '{"id": 0, "damages": {"noise": "x"}}', '{"id": 0, "damages": {"fire": 1}}',
        '{"id": 0, "damages": {"noise": NaN}}', '{"id": 0, "seed": -1}', '{"id": 0, "seed": 1.5}',
        '{"id": 0, "seed": 99999999999}', '{"id": 0, "damages": {"blur": 1e9}}',
    ]  # fmt: skip
    directions = [
        "{}", '{"with": [0]}', '{"with": [], "without": [1]}', '{"with": [0], "without": ["a"]}',
        '{"with": 0, "without": 1}', '{"with": [0], "without": [1], "model": 5}',
    ]  # fmt: skip
    bomb = io.BytesIO()
    Image.new("1", (20000, 20000)).save(bomb, "PNG")
    encodes: list[tuple[Any, dict[str, str]]] = [
        (b"", binary), (b"x" * 63, binary), (b"x" * 65, binary), (b"x" * 64, {}),
        (b"x", {"content-type": "image/png"}), (bomb.getvalue(), {"content-type": "image/png"}),
        (bomb.getvalue()[:99], {"content-type": "image/jpeg"}), (b"", {"content-type": "image/"}),
        (b"<svg/>", {"content-type": "image/svg+xml"}), (b"x", {"content-type": "text/html"}),
        ('{"values": [1]}', text), ('{"text": "a"}', text), ('{"text": 5}', text), ("{}", text),
        ('{"values": [1], "text": "a"}', text), ("[]", text), ("{", text),
    ]  # fmt: skip
    ours = f"127.0.0.1:{port}"
    elsewhere = [
        {"Host": host}
        for host in (
            "evil.example", f"evil.example:{port}", "127.0.0.1:", "127.0.0.1:http",
            f"127.0.0.1.evil.example:{port}", f"localhost.evil.example:{port}", "", ":", f":{port}",
            f"127.0.0.1:{port}@evil.example", f"[::1:{port}", f"0.0.0.0:{port}", f"evil@{ours}",
            f"10.0.0.1:{port}",
        )
    ] + [
        {"Origin": origin}
        for origin in (
            "http://evil.example", f"http://evil.example:{port}", "null", "", "file://",
            f"http://127.0.0.1:{port + 1}", f"ftp://{ours}", f"{ours}", f"http://{ours}.evil.example",
            f"http://{ours}/", "http://",
        )
    ] + [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]  # fmt: skip
    found: list[tuple[str, str, Any, dict[str, str]]] = []
    found += [("GET", path, None, {}) for path in paths]
    found += [("POST", "/api/samples", body, text) for body in bodies]
    found += [("POST", "/api/decode", body, text) for body in decodes]
    found += [("POST", "/api/damage", body, text) for body in damages]
    found += [("POST", "/api/direction", body, text) for body in directions]
    found += [("POST", "/api/encode", body, headers) for body, headers in encodes]
    found += [("GET", "/api/info", None, headers) for headers in elsewhere]
    found += [("POST", "/api/decode", '{"at": [[0, 0]]}', h) for h in elsewhere[:20]]
    found += [
        (method, "/api/info", None, {})
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "POST", "FOO")
    ]
    return found


def broken_requests(port: int) -> list[bytes]:
    """Return bytes that are no request, or only the beginning of one."""
    host = f"Host: 127.0.0.1:{port}\r\n".encode()
    post = b"POST /api/decode HTTP/1.1\r\n" + host
    return [
        b"", b"\r\n\r\n", b"\x00" * 1000, b"GET", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\n" + host + b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + host + host + b"\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000, b"A" * 300_000,
        post + b"Content-Length: 99999999999\r\n\r\n{}", post + b"Content-Length: -1\r\n\r\n{}",
        post + b"Content-Length: x\r\n\r\n{}", post + b"Content-Length: 100\r\n\r\n{",
        post + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        post + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
        post + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
        post + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        post + b"Transfer-Encoding: gzip\r\n\r\n", post + b"Expect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]  # fmt: skip


class TestHostile:
    def test_wrong_requests_get_a_sentence(self, client: Client) -> None:
        asked = wrong_requests(client.port)
        assert len(asked) + len(broken_requests(client.port)) >= 200
        for method, path, body, headers in asked:
            status, content, _ = client.ask(method, path, body, headers)
            told = (method, path[:80], str(body)[:80], headers, status, content[:80])
            assert 400 <= status < 500, told
            if method != "HEAD":
                sentence = json.loads(content)["error"]
                assert sentence, told
                assert "Traceback" not in sentence
                assert "/" not in sentence.replace("image/*", "").replace("application/", ""), told
        assert client.json("/api/info")["n"]

    def test_broken_requests_do_not_stop_it(self, client: Client) -> None:
        for data in broken_requests(client.port):
            answer = client.raw(data).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = answer.split(b" ", 2)[1] if answer else b"400"
            assert head[:1] == b"4" or b"Upgrade: websocket" in data, (data[:60], answer[:60])
        assert client.json("/api/info")["n"]

    def test_a_tunnel_may_have_a_port_of_its_own(self, client: Client) -> None:
        for host in ("localhost:9000", "127.0.0.1", "[::1]:80"):
            tunnel = {"Host": host, "Origin": f"http://{host}"}
            assert client.ask("GET", "/api/info", None, tunnel)[0] == 200
            other = {"Host": host, "Origin": "http://localhost:3000"}
            assert client.ask("GET", "/api/info", None, other)[0] == 403

    def test_bodies_are_bounded_while_they_come(self, client: Client) -> None:
        host = f"Host: 127.0.0.1:{client.port}\r\n".encode()
        head = b"POST /api/encode HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n"
        chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
        sent = 0
        with socket.create_connection((client.host, client.port), timeout=5) as sock:
            sock.sendall(head)
            try:
                while sent < 16 * LARGEST_BODY:
                    sock.sendall(chunk)
                    sent += 2**20
            except OSError:
                pass
        assert sent < 4 * LARGEST_BODY
        assert client.json("/api/info")["n"]

    def test_half_open_and_slow_ones_are_let_go(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert 0 < BODY_SECONDS < 60
        monkeypatch.setattr(PatientProtocol, "head_seconds", 0.3)
        monkeypatch.setattr("latente.explorer.guard.BODY_SECONDS", 0.3)
        monkeypatch.setattr("latente.explorer.server.KEEP_SECONDS", 1)
        server = Server(scene, port=0)
        server.start()
        client = Client(server)
        host = f"Host: 127.0.0.1:{server.port}\r\n".encode()
        full = b"GET /api/points HTTP/1.1\r\n" + host + b"\r\n"
        starts = [
            b"", b"GET / HT", b"GET / HTTP/1.1\r\n" + host, full + b"GET / H",
            b"POST /api/decode HTTP/1.1\r\n" + host + b"Content-Length: 100\r\n\r\n{",
        ]  # fmt: skip
        socks = [socket.create_connection((client.host, client.port)) for _ in starts * 10]
        try:
            for sock, start in zip(socks, starts * 10, strict=True):
                sock.settimeout(5)
                sock.sendall(start)
            assert client.json("/api/info")["n"]
            begun = time.monotonic()
            for sock in socks:
                while sock.recv(65536):
                    pass
            assert time.monotonic() - begun < 5
        finally:
            for sock in socks:
                sock.close()
            server.stop()

    def test_readers_that_take_nothing_are_let_go(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(PatientProtocol, "stalled_seconds", 0.2)
        server = Server(scene, port=0)
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        server.start()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(("127.0.0.1", server.port))
            body = json.dumps({"ids": [0] * 1024}).encode()
            head = f"Host: 127.0.0.1:{server.port}\r\nContent-Length: {len(body)}\r\n\r\n"
            sock.sendall(b"POST /api/samples HTTP/1.1\r\n" + head.encode() + body)
            connections = server.server.server_state.connections
            assert ends_in_time(lambda: bool(connections))
            assert ends_in_time(lambda: not connections)
        server.stop()

    @pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a signal of POSIX")
    @pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
    def test_ctrl_c_waits_for_the_end(self, scene: Scene) -> None:
        server = Server(scene, port=0)
        server.start()
        # What a shell starts in the background ignores the signal unless told otherwise.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            server.wait()
        finally:
            signal.signal(signal.SIGINT, before)
        assert server.ended.is_set()
        assert server.socket.fileno() == -1


def ends_in_time(is_so: Callable[[], bool]) -> bool:
    """Whether something becomes so within some seconds."""
    end = time.monotonic() + 10
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    return is_so()


class TestBeyondThisMachine:
    def test_a_token_lets_in(self, scene: Scene) -> None:
        server = Server(scene, "0.0.0.0", port=0)
        server.start()
        client = Client(server)
        try:
            assert server.token is not None
            assert f"token={server.token}" in server.url
            assert client.ask("GET", "/api/info")[0] == 401
            assert client.ask("GET", "/")[0] == 401
            assert client.ask("GET", "/?token=wrong")[0] == 401
            assert client.ask("GET", f"/api/info?token={server.token}")[0] == 401
            status, _, headers = client.ask("GET", f"/?token={server.token}")
            cookie = headers["set-cookie"]
            assert (status, headers["location"]) == (303, "/")
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie
            known = {"Cookie": cookie.partition(";")[0]}
            assert client.ask("GET", "/api/info", None, known)[0] == 200
            assert client.ask("GET", "/api/info", None, {"Cookie": "latente_explorer=x"})[0] == 401
            others = {"Cookie": f'a[b]="{{; odd; {known["Cookie"]}; latente_explorer_1=x'}
            assert client.ask("GET", "/api/info", None, others)[0] == 200
            rebound = {**known, "Host": f"evil.example:{server.port}"}
            assert client.ask("GET", "/api/info", None, rebound)[0] == 421
        finally:
            server.stop()


class TestFromPython:
    def test_a_page_that_does_not_block(self, scene: Scene, data: Any) -> None:
        ae = Autoencoder(2, network="dense(hidden=[8])", epochs=1, random_state=0).fit(data.X[:99])
        server = explore(ae, data.X_test[:50], block=False, browser=False, port=0)
        try:
            assert Client(server).json("/api/info")["n"] == 50
        finally:
            server.stop()
        with pytest.raises(OSError, match="refused"):
            Client(server).ask("GET", "/api/info")

    def test_a_fit_is_watched(self, data: Any) -> None:
        ae = Autoencoder(2, network="dense(hidden=[8])", epochs=3, random_state=0)
        server = watch_fit(ae, data.X[:99], data.X_test[:50], browser=False, port=0)
        try:
            client = Client(server)
            learning = client.json("/api/info")["learning"]
            assert learning["done"]
            _, content, headers = client.ask("GET", "/api/learning")
            assert headers["content-type"].startswith("text/event-stream")
            events = [part.split("\n") for part in content.decode().split("\n\n") if "data" in part]
            assert [event[0] for event in events] == ["event: epoch"] * 3 + ["event: done"]
            assert json.loads(events[0][2].removeprefix("data: "))["epoch"] == 1
            _, content, _ = client.ask("GET", "/api/learning", None, {"Last-Event-ID": "2"})
            assert content.count(b"event: epoch") == 1
            path = f"/api/points?epoch={learning['kept'][-1]}"
            assert client.arrays(path)[0]["points"].shape == (50, 2)
        finally:
            server.stop()

    def test_a_port_that_is_taken_is_told(self, server: Server, scene: Scene) -> None:
        with pytest.raises(ValueError, match=f"port {server.port}"):
            Server(scene, port=server.port)
