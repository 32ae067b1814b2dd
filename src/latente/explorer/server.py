"""The server: the page, and what it asks for, as JSON and as packed arrays.

Models work in threads, one for what follows the pointer and one for all the rest, so that the event
loop always answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import secrets
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ..errors import FileError, LatenteError, ParameterError
from ..parts import listed
from . import packed, requests
from .damage import damaged, damages_for, quality
from .decoding import LatestWins
from .facts import MOST_CODES, most_samples, scene_facts
from .guard import Guard, PatientProtocol, is_loopback
from .learning import Learning
from .requests import RequestError
from .samples import Shown
from .scene import Scene
from .thumbnails import sheet
from .view import Asking, ModelView, Places

STATIC = Path(__file__).parent / "static"
PORT = 8790
"""Where it listens where nothing is said; or at the next port that is free."""
TRIED = 50
CONNECTIONS = 512
LISTENERS = 32
"""Pages, at most, that are told of a fit."""
LOOK_SECONDS, QUIET_SECONDS = 0.1, 15.0
"""How often it is looked whether there is something to tell, and after how long a sign is given."""
ENDING_SECONDS = 2
KEEP_SECONDS = 30
"""How long a connection may be idle."""

Handler = Callable[[Request], Awaitable[Response]]
Decoded = tuple[Places, Shown]
"""What was asked for, and how it is shown."""


class Service:
    """What is answered, route by route.

    Parameters
    ----------
    scene
        What is shown.
    learning
        The fit that is watched, where there is one.
    """

    def __init__(self, scene: Scene, learning: Learning | None = None) -> None:
        self.scene, self.learning = scene, learning
        self.listeners, self.ending = 0, False
        self.pool = ThreadPoolExecutor(1, "explorer")
        self.pointer_pool = ThreadPoolExecutor(1, "explorer-pointer")
        self.decoding: LatestWins[ModelView, Asking, Decoded] = LatestWins(
            self.decode_together, self.pointer_pool
        )

    def routes(self) -> list[Route]:
        """Return the addresses of the API."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/api/info", self.info),
            ("GET", "/api/learning", self.learn),
            ("GET", "/api/points", self.points),
            ("GET", "/api/column", self.column),
            ("GET", "/api/density", self.density),
            ("GET", "/api/thumbnails", self.thumbnails),
            ("POST", "/api/samples", self.samples),
            ("POST", "/api/decode", self.decode),
            ("POST", "/api/encode", self.encode),
            ("POST", "/api/damage", self.damage),
            ("POST", "/api/direction", self.direction),
        ]
        return [Route(path, handler, methods=[method]) for method, path, handler in table]

    async def work(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *args)

    def view(self, value: Any) -> ModelView:
        """Return the view of the model that is asked for."""
        views = self.scene.views
        return views[requests.whole(0 if value is None else value, "model", 0, len(views) - 1)]

    async def info(self, request: Request) -> Response:
        """Answer what is shown."""
        return JSONResponse(await self.work(self._info))

    def _info(self) -> dict[str, Any]:
        learning = None if self.learning is None else self.learning.facts()
        return {**scene_facts(self.scene), "learning": learning}

    async def points(self, request: Request) -> Response:
        """Answer where rows lie on a map."""
        view = self.view(request.query_params.get("model"))
        epoch = request.query_params.get("epoch")
        if epoch is None:
            return arrays({"points": view.points})
        found = None
        if self.learning is not None:
            found = self.learning.points(requests.whole(epoch, "epoch", 0, 2**31))
        if found is None:
            raise RequestError("the points of that epoch are not kept", 404)
        return arrays({"points": found})

    async def learn(self, request: Request) -> Response:
        """Answer with the epochs of a fit, as they end."""
        if self.learning is None:
            raise RequestError("no fit is watched here", 404)
        last = request.headers.get("last-event-id") or "0"
        epoch = requests.whole(last, "Last-Event-ID", 0, 2**31)
        if self.listeners >= LISTENERS:
            raise RequestError("too many pages listen to this fit", 429)
        stream = self._events(self.learning, epoch)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _events(self, learning: Learning, epoch: int) -> AsyncIterator[str]:
        self.listeners += 1
        seen, quiet = 0, 0.0
        try:
            yield "retry: 1000\n\n"
            while True:
                events, seen = learning.since(epoch, seen)
                for each in events:
                    mark = "" if each.epoch is None else f"id: {each.epoch}\n"
                    yield f"event: {each.kind}\n{mark}data: {json.dumps(each.data)}\n\n"
                    if each.epoch is None:
                        return
                if self.ending:
                    return
                quiet = 0.0 if events else quiet + LOOK_SECONDS
                if quiet > QUIET_SECONDS:
                    quiet = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self.listeners -= 1

    async def column(self, request: Request) -> Response:
        """Answer a column's value of each row."""
        views = self.scene.views
        model = requests.whole(request.query_params.get("model", 0), "model", 0, len(views) - 1)
        name = requests.text(request.query_params.get("name"), "name")
        return arrays({"values": self.scene.column(name, model).values})

    async def density(self, request: Request) -> Response:
        """Answer how densely codes lie over a map."""
        view = self.view(request.query_params.get("model"))
        return arrays({"values": await self.work(lambda: view.grid)})

    async def thumbnails(self, request: Request) -> Response:
        """Answer rows as small pictures in one PNG."""
        if self.scene.form.kind != "pictures":
            raise RequestError("these data are not pictures and have no thumbnails", 404)
        query = request.query_params
        first = requests.whole(query.get("first", 0), "first", 0, len(self.scene) - 1)
        count = requests.whole(query.get("count", MOST_CODES), "count", 1, MOST_CODES)
        made = await self.work(sheet, self.scene, first, count)
        return Response(made, media_type="image/png")

    async def samples(self, request: Request) -> Response:
        """Answer some rows, their codes, and what comes back of them."""
        asked = requests.read_json(await request.body())
        view = self.view(asked.get("model"))
        ids = requests.ids(asked.get("ids"), "ids", len(self.scene), most_samples([view]))
        return await self.work(self._samples, view, ids)  # type: ignore[no-any-return]

    def _samples(self, view: ModelView, ids: Any) -> Response:
        rows = self.scene.rows(ids)
        found = view.passed(rows)
        samples = {
            "originals": self.scene.form_for(view).shown(rows),
            "decoded": self.scene.shown(view, found.values.numpy()),
        }
        return arrays(
            {
                "codes": view.codes[ids], "points": view.points[ids],
                "errors": view.rows.errors[ids], "scores": view.rows.scores[ids],
            },
            samples,
        )  # fmt: skip

    async def decode(self, request: Request) -> Response:
        """Answer what lies at places of a map, or what codes stand for."""
        asked = requests.read_json(await request.body())
        view = self.view(asked.get("model"))
        pointer = asked.get("pointer")
        pointer = None if pointer is None else requests.text(pointer, "pointer")
        if ("at" in asked) == ("codes" in asked):
            raise RequestError('give either "at", places on the map, or "codes"')
        most = most_samples([view])
        base = requests.vector(asked.get("base"), "base", view.coder.latent)
        item: Asking
        if "at" in asked:
            item = ("at", requests.matrix(asked["at"], "at", 2, most), base)
        else:
            codes = requests.matrix(asked["codes"], "codes", view.coder.latent, most)
            item = ("codes", codes, None)
        found = await self.decoding.ask(view, item, pointer)
        if found is None:
            return Response(status_code=204)
        places, shown = found
        return arrays(
            {
                "codes": places.codes, "points": places.points, "nearest": places.nearest,
                "distance": places.distance, "inside": places.inside,
            },
            {"decoded": shown},
        )  # fmt: skip

    def decode_together(self, view: ModelView, items: list[Asking]) -> list[Decoded]:
        """Return what each of several requests to one model asks for."""
        found = view.decode_all(items)
        return [(places, self.scene.shown(view, places.values)) for places in found]

    async def encode(self, request: Request) -> Response:
        """Answer what the model makes of a sample that was sent."""
        view = self.view(request.query_params.get("model"))
        body = await request.body()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        form = self.scene.form_for(view)
        reader: Callable[[], Any]
        if kind == "application/octet-stream":
            reader = partial(form.read_pixels, body)
        elif kind.startswith("image/"):
            reader = partial(form.read_picture, body)
        elif kind == "application/json":
            asked = requests.read_json(body)
            if ("values" in asked) == ("text" in asked):
                raise RequestError('give either "values" or a "text"')
            if "values" in asked:
                reader = partial(form.read_values, asked["values"])
            elif not isinstance(asked["text"], str):
                raise RequestError("text must be a text")
            else:
                reader = partial(form.read_text, asked["text"])
        else:
            raise RequestError(
                "send application/octet-stream, image/*, or application/json with values or a text",
                415,
            )
        return await self.work(self._encode, view, reader)  # type: ignore[no-any-return]

    def _encode(self, view: ModelView, reader: Callable[[], Any]) -> Response:
        X = reader()
        found = view.passed(X)
        codes, scores = found.codes.numpy(), found.scores.numpy()
        if not np.isfinite(codes).all():
            raise RequestError("the model gives no finite code for this sample", 422)
        similar, distance = view.similar(codes)
        return arrays(
            {
                "codes": codes, "points": view.plane.points(codes),
                "errors": found.errors.numpy(), "scores": scores,
                "percentile": view.percentile(scores), "similar": similar,
                "similar_distance": distance,
            },
            {
                "originals": self.scene.form_for(view).shown(X),
                "decoded": self.scene.shown(view, found.values.numpy()),
            },
        )  # fmt: skip

    async def damage(self, request: Request) -> Response:
        """Answer a sample after damage, and what comes back of it."""
        asked = requests.read_json(await request.body())
        view = self.view(asked.get("model"))
        if ("id" in asked) == ("picture" in asked):
            raise RequestError('give either the "id" of a row or a "picture"')
        picture = row = None
        if "id" in asked:
            row = requests.ids([asked["id"]], "id", len(self.scene))
        else:
            picture = requests.base64_bytes(asked["picture"], "picture")
        sliders = {each.name: each for each in damages_for(view.coder.input)}
        amounts = {}
        for name, value in requests.amounts(asked.get("damages", {}), "damages").items():
            if name not in sliders:
                raise RequestError(f"damages: there is no {name!r:.80}; choose {listed(sliders)}")
            amounts[name] = requests.number(value, name, sliders[name].low, sliders[name].high)
        seed = requests.whole(asked.get("seed", 0), "seed", 0, 2**32 - 1)
        return await self.work(  # type: ignore[no-any-return]
            self._damage, view, row, picture, amounts, seed
        )

    def _damage(
        self, view: ModelView, row: Any, picture: bytes | None, amounts: Any, seed: int
    ) -> Response:
        form = self.scene.form_for(view)
        X = self.scene.rows(row) if picture is None else form.read_pixels(picture)
        broken = damaged(view, X, amounts, seed)
        found = view.passed(broken.X, broken.mask)
        codes, values = found.codes.numpy(), found.values.numpy()
        return arrays(
            {"codes": codes, "points": view.plane.points(codes)},
            {"damaged": form.shown(broken.X), "decoded": self.scene.shown(view, values)},
            quality(self.scene, view, X, broken.X, values),
        )

    async def direction(self, request: Request) -> Response:
        """Answer the step in code space from rows without something to rows with it."""
        asked = requests.read_json(await request.body())
        views = self.scene.views
        model = requests.whole(asked.get("model", 0), "model", 0, len(views) - 1)
        present, absent = (
            requests.ids(asked.get(name), name, len(self.scene)) for name in ("with", "without")
        )
        vector, separation = await self.work(self.scene.direction, model, present, absent)
        meta = {"with": len(present), "without": len(absent), "separation": separation}
        return arrays({"direction": vector}, meta=meta)


def arrays(
    found: dict[str, Any],
    samples: dict[str, Shown] | None = None,
    meta: dict[str, Any] | None = None,
) -> Response:
    """Return an answer of packed arrays; texts go beside them."""
    shown = samples or {}
    texts = {name: each.texts for name, each in shown.items() if each.texts is not None}
    told: Any = next(iter(texts.values())) if len(shown) == 1 and texts else texts
    beside = {**(meta or {}), **({"texts": told} if texts else {})}
    content = packed.pack({**{name: each.array for name, each in shown.items()}, **found}, beside)
    return Response(content, media_type=packed.MEDIA_TYPE)


def static_table(folder: Path = STATIC) -> dict[str, tuple[Path, str]]:
    """Return the page's files, each with its path and type, by the names they are asked for."""
    types = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
    return {
        path.relative_to(folder).as_posix(): (
            path,
            types.get(path.suffix)
            or mimetypes.guess_type(path.name)[0]
            or "application/octet-stream",
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def page_routes(table: dict[str, tuple[Path, str]]) -> list[Route]:
    """Return the addresses of the page and its files."""

    async def static(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in table:
            raise HTTPException(404, "there is no such file")
        path, media_type = table[name]
        return FileResponse(path, media_type=media_type)

    return [Route("/", static), Route("/static/{name:path}", static)]


async def refused(request: Request, error: Exception) -> Response:
    """Answer an error in one sentence."""
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)
    if isinstance(error, RequestError):
        return JSONResponse({"error": str(error)}, error.status)
    if isinstance(error, LatenteError):
        return JSONResponse({"error": str(error)}, 422)
    return JSONResponse({"error": f"unexpected {type(error).__name__}"}, 500)


def application(service: Service) -> Starlette:
    """Return the application of a service and its page, without the guard around it."""
    made = Starlette(
        routes=[*service.routes(), *page_routes(static_table())],
        exception_handlers={HTTPException: refused, LatenteError: refused, Exception: refused},
    )
    made.router.redirect_slashes = False
    return made


class Server:
    """A scene that is served from a thread of its own.

    Parameters
    ----------
    scene
        What is shown.
    host, port
        Where to listen; None takes the first port that is free from `PORT` on.
    token
        What has to be known to be let in; None makes one where others can reach the host.
    learning
        The fit that is watched, where there is one.
    """

    def __init__(
        self,
        scene: Scene,
        host: str = "127.0.0.1",
        port: int | None = None,
        *,
        token: str | None = None,
        learning: Learning | None = None,
    ) -> None:
        self.scene = scene
        self.socket = listening(host, port)
        self.host, self.port = host, int(self.socket.getsockname()[1])
        if token is None and not is_loopback(host):
            token = secrets.token_urlsafe(24)
        self.token = token
        self.service = Service(scene, learning)
        config = uvicorn.Config(
            Guard(application(self.service), host, self.port, token),
            http=PatientProtocol, ws="none", lifespan="off", log_config=None,
            log_level="error", access_log=False,
            server_header=False, date_header=False, proxy_headers=False,
            limit_concurrency=CONNECTIONS, timeout_keep_alive=KEEP_SECONDS, backlog=128,
            timeout_graceful_shutdown=ENDING_SECONDS,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True, name="explorer")

    @property
    def url(self) -> str:
        """The address of the page, with its token where there is one."""
        name = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        name = f"[{name}]" if ":" in name else name
        query = "" if self.token is None else f"?token={self.token}"
        return f"http://{name}:{self.port}/{query}"

    def start(self) -> None:
        """Begin to answer."""
        self.thread.start()
        while not self.server.started and not self.ended.wait(0.01):
            pass
        if not self.server.started:
            raise FileError(f"the explorer could not listen at {self.host}, port {self.port}")

    def wait(self) -> None:
        """Wait until it ends, or Ctrl-C ends it."""
        # Not by joining the thread: Ctrl-C in a join takes a running thread for ended.
        with contextlib.suppress(KeyboardInterrupt):
            while not self.ended.wait(0.2):
                pass
        self.stop()

    def stop(self) -> None:
        """Stop answering."""
        self.service.ending = self.server.should_exit = True
        self.ended.wait(ENDING_SECONDS + 8)

    def _run(self) -> None:
        try:
            self.server.run(sockets=[self.socket])
        finally:
            self.socket.close()
            self.ended.set()


def listening(host: str, port: int | None) -> socket.socket:
    """Return a socket that is bound to a port, or to the first that is free.

    Raises
    ------
    ParameterError
        If there is no such host, or the port is taken.
    """
    if port is not None and not 0 <= port < 2**16:
        raise ParameterError(f"port={port}: use a whole number from 0 to 65535")
    ports = [port] if port is not None else [*range(PORT, PORT + TRIED), 0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason = ""
    for each in ports:
        # Named as TCP, so that asyncio sends at once: without it an answer waits for 40 ms.
        found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, each))
            found.listen(128)
        except OSError as error:
            found.close()
            reason = error.strerror or str(error)
        else:
            return found
    raise ParameterError(f"the explorer cannot listen at {host}, port {ports[0]}: {reason}")
