"""Take the pictures of the explorer, in Chromium, on held-out digits of MNIST and on wines.

LATENTE_DATA=folder python docs/images/explorer.py
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from sklearn.datasets import load_wine

from latente import Autoencoder, datasets
from latente.explorer import Scene
from latente.explorer.api import serve

IMAGES = Path(__file__).parent
ARGUMENTS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SHOWN = 3000
COLOURS = 220


def map_place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the first map lies on the page."""
    box = page.locator("#map0").bounding_box()
    left, top = page.evaluate("([x, y]) => latente.maps[0].screen(x, y)", [x, y])
    return box["x"] + left, box["y"] + top


def between(page: Page, first: int, second: int) -> None:
    """Pin two samples, and go part of the way from one to the other."""
    places = page.evaluate(
        "ids => ids.map((id) => [...latente.maps[0].pointOf(id)].concat(id))", [first, second]
    )
    page.evaluate("pins => latente.state.set('pins', pins)", places)
    page.wait_for_timeout(1200)
    page.mouse.move(*map_place(page, places[0][0] + 0.12, places[0][1] + 0.1))


def first_of(y: Any, label: int) -> int:
    """Return the first row of a class."""
    return int(np.flatnonzero(np.asarray(y) == label)[0])


def drawn(page: Page) -> None:
    """Draw a digit on the sheet."""
    box = page.locator("#panel-draw canvas").first.bounding_box()
    corners = ((0.3, 0.25), (0.7, 0.25), (0.62, 0.45), (0.52, 0.65), (0.45, 0.85))
    for i, (right, down) in enumerate(corners):
        page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"], steps=12)
        if i == 0:
            page.mouse.down()
    page.mouse.up()
    page.wait_for_timeout(1200)


def saved(page: Page, name: str) -> None:
    """Write what is seen with a palette of few colours: a page is read over the net."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)


@contextmanager
def opened(
    browser: Any, scene: Scene, state: str = "", *, size: tuple[int, int] = (1280, 800),
    dark: bool = False,
) -> Iterator[Page]:  # fmt: skip
    """Serve a scene and open its page."""
    server = serve(scene, port=0)
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        device_scale_factor=1.5,
        color_scheme="dark" if dark else "light",
    )
    page.goto(server.url + state)
    page.wait_for_selector("html[data-ready]")
    page.wait_for_timeout(1500)
    try:
        yield page
    finally:
        page.close()
        server.stop()


def digits(browser: Any) -> None:
    """Take the pictures of MNIST."""
    mnist = datasets.load("mnist")
    X, y = mnist.X_test[:SHOWN], mnist.y_test[:SHOWN]
    train = mnist.X[:20_000]
    common: dict[str, Any] = {"loss": "bernoulli", "random_state": 0}
    plane = Autoencoder(2, bottleneck="gaussian", epochs=40, **common).fit(train)
    deep = Autoencoder(32, bottleneck="gaussian", epochs=15, **common).fit(train)
    known: dict[str, Any] = {"train": train, "name": "mnist", "split": "test"}

    def scene(**models: Any) -> Scene:
        return Scene(models, X, y, **known)

    flat = scene(digits=plane)
    ones, sevens = first_of(y, 0), first_of(y, 7)
    shots: list[tuple[str, Scene, str, dict[str, Any], Callable[[Page], None]]] = [
        ("explorer", flat, "", {}, lambda page: between(page, ones, sevens)),
        ("explorer-dark", flat, "#panel=draw", {"dark": True}, drawn),
        ("explorer-narrow", flat, "", {"size": (390, 800)}, lambda page: None),
        ("explorer-dims", scene(digits=deep), "#panel=dims", {}, lambda page: None),
        (
            "explorer-compare",
            scene(variational=plane, PCA="pca"),
            f"#panel=selected&sample={sevens}",
            {},
            lambda page: page.mouse.move(
                *map_place(page, *page.evaluate("id => [...latente.maps[0].pointOf(id)]", ones))
            ),
        ),
    ]
    for name, shown, state, looks, act in shots:
        with opened(browser, shown, state, **looks) as page:
            act(page)
            page.wait_for_timeout(1500)
            saved(page, name)


def wines(browser: Any) -> None:
    """Take the picture of a table."""
    wine = load_wine(as_frame=True)
    model = Autoencoder(2, random_state=0).fit(wine.data)
    names = np.asarray(["Barolo", "Grignolino", "Barbera"])[wine.target]
    scene = Scene({"wines": model}, wine.data, names, label="cultivar", name="wine")
    with opened(browser, scene, "#panel=selected&sample=20") as page:
        page.mouse.move(*map_place(page, *page.evaluate("() => [...latente.maps[0].pointOf(70)]")))
        page.wait_for_timeout(1000)
        saved(page, "explorer-table")


def main() -> None:
    """Take all pictures."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "/usr/bin/chromium", args=ARGUMENTS
        )
        wines(browser)
        digits(browser)
        browser.close()


if __name__ == "__main__":
    main()
