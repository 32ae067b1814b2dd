"""The explorer as a person meets it: its page in a browser, driven by mouse and keyboard."""

from __future__ import annotations

import io
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from latente import Autoencoder, datasets
from latente.explorer import Scene
from latente.explorer.api import serve

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.filterwarnings("ignore::latente.TrainingWarning"),
]
ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
INK = """canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 1) sum += (i % 7 + 1) * data[i];
  return [sum, new Set(data).size];
}"""
"""A number that changes with a canvas, and how many different values are in it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def digits() -> Any:
    return datasets.load("digits")


def fitted(X: Any, latent: int, **keywords: Any) -> Autoencoder:
    return Autoencoder(latent, epochs=8, random_state=0, **keywords).fit(X)


@pytest.fixture(scope="module")
def scenes(digits: Any) -> dict[str, Callable[[], Scene]]:
    """The scenes that are shown here, each made when it is first wanted."""
    X, y = digits.X_test, digits.y_test

    def flat() -> Scene:
        return Scene(
            {"variational": fitted(digits.X, 2, bottleneck="gaussian")}, X, y, train=digits.X
        )

    def deep() -> Scene:
        return Scene({"deep": fitted(digits.X, 20)}, X, y, train=digits.X)

    def two() -> Scene:
        models: dict[str, Any] = {"variational": fitted(digits.X, 2, bottleneck="gaussian")}
        return Scene(models | {"PCA": "pca"}, X, y, train=digits.X)

    def table() -> Scene:
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(200, 6))
        names = ["height", "weight", "age", "pulse", "steps", "sleep"]
        return Scene({"table": fitted(rows, 2)}, rows, rows[:, 0] > 0, columns=names)

    def series() -> Scene:
        time = np.linspace(0, 1, 24)
        rates = np.linspace(1, 3, 80)[:, None]
        waves = np.sin(2 * np.pi * rates * time)[..., None].astype(np.float32)
        model = fitted(waves, 2, network="recurrent(hidden=8)", layout="sequences")
        return Scene({"series": model}, waves)

    def texts() -> Scene:
        words = [f"word{letter}" for letter in "abcdefghij"] * 4
        model = Autoencoder(1, epochs=1, random_state=0, network="recurrent(hidden=8)")
        return Scene({"texts": model.fit(words)}, words)

    named = {"flat": flat, "deep": deep, "two": two, "table": table, "series": series}
    return named | {"texts": texts}


@pytest.fixture(scope="module")
def served(scenes: dict[str, Callable[[], Scene]]) -> Iterator[Callable[[str], str]]:
    servers: dict[str, Any] = {}

    def address(name: str) -> str:
        if name not in servers:
            servers[name] = serve(scenes[name](), port=0)
        return str(servers[name].url)

    yield address
    for server in servers.values():
        server.stop()


@pytest.fixture
def visit(browser: Any, served: Callable[[str], str]) -> Iterator[Callable[..., Any]]:
    """Open a page on a scene; at the end, nothing may have gone wrong in it, or out of it."""
    contexts, wrong = [], []

    def visited(name: str, state: str = "", *, width: int = 1000, height: int = 640) -> Any:
        url = served(name) if "://" not in name else name
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        context.set_default_timeout(90_000)  # of a machine that does other work too
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((url, "data:", "blob:"))
                else wrong.append(request.url)
            ),
        )
        page.goto(url + state)
        page.wait_for_selector("html[data-ready]")
        return page

    yield visited
    for context in contexts:
        context.close()
    assert not wrong


def middle(page: Any, right: float = 0.5, down: float = 0.5, model: int = 0) -> tuple[float, float]:
    box = page.locator(f"#map{model}").bounding_box()
    return box["x"] + right * box["width"], box["y"] + down * box["height"]


def drawn(page: Any, selector: str) -> list[int]:
    return list(page.locator(selector).first.evaluate(INK))


def redrawn(page: Any, selector: str, before: list[int]) -> list[int]:
    """Wait until a canvas shows something else than before, and return what."""
    page.wait_for_function(
        f"([selector, before]) => {{ const canvas = document.querySelector(selector);"
        f" return canvas && ({INK})(canvas)[0] !== before; }}",
        arg=[selector, before[0]],
    )
    return drawn(page, selector)


def filled(page: Any, selector: str, values: int = 8) -> list[int]:
    """Wait until a canvas shows something, and return what."""
    page.wait_for_function(
        f"([selector, values]) => {{ const canvas = document.querySelector(selector);"
        f" return canvas && ({INK})(canvas)[1] > values; }}",
        arg=[selector, values],
    )
    return drawn(page, selector)


def says(page: Any, selector: str, pattern: str) -> None:
    """Wait until the text of an element matches a pattern."""
    page.wait_for_function(
        "([selector, pattern]) =>"
        " new RegExp(pattern).test(document.querySelector(selector).textContent)",
        arg=[selector, pattern],
    )


def state(page: Any, key: str) -> Any:
    return page.evaluate("key => latente.state.get(key)", key)


def test_the_place_under_the_mouse_is_decoded(visit: Callable[..., Any]) -> None:
    page = visit("flat")
    assert page.locator("#title").text_content() == "variational on data"
    canvas, words = "#point canvas", page.locator("#point").first
    page.mouse.move(*middle(page, 0.3, 0.4))
    says(page, "#point", "Place")
    here, said = filled(page, canvas), words.text_content()
    page.mouse.move(*middle(page, 0.6, 0.6))
    redrawn(page, canvas, here)
    page.wait_for_function(
        "said => document.querySelector('#point').textContent !== said", arg=said
    )
    says(page, "#point", "Nearest sample")  # once the mouse rests


def test_a_place_without_training_codes_is_marked(visit: Callable[..., Any]) -> None:
    page = visit("flat")
    page.evaluate("() => { for (let i = 0; i < 6; i += 1) latente.maps[0].zoom(0.6); }")
    page.mouse.move(*middle(page, 0.05, 0.9))
    says(page, "#point", "[Nn]o training code")


def test_pins_are_walked_between_and_the_walk_is_saved(visit: Callable[..., Any]) -> None:
    page = visit("flat")
    page.evaluate("() => { latente.maps[0].zoom(0.5); }")
    for right, down in ((0.1, 0.1), (0.9, 0.9)):
        page.mouse.click(*middle(page, right, down))
    page.wait_for_function("() => latente.state.get('pins').length === 2")
    before = filled(page, "#panel-walk .sample canvas")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save GIF").click()
    gif = Image.open(io.BytesIO(Path(saved.value.path()).read_bytes()))
    assert gif.format == "GIF"
    assert gif.n_frames > 8
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save PNG strip").click()
    strip = Image.open(io.BytesIO(Path(saved.value.path()).read_bytes()))
    assert strip.format == "PNG"
    assert strip.width > 8 * strip.height
    assert len(set(strip.convert("L").tobytes())) > 8
    slider = page.locator("#panel-walk input[type=range]").first
    slider.focus()
    slider.press("End")
    redrawn(page, "#panel-walk .sample canvas", before)


def test_all_is_done_with_keys(visit: Callable[..., Any]) -> None:
    page = visit("flat")
    page.locator("#map0").focus()
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    assert state(page, "hover")["by"] == "keys"
    page.keyboard.press("Enter")
    page.wait_for_function("() => latente.state.get('pins').length === 1")
    view = page.evaluate("() => latente.maps[0].place(10, 10)")
    page.keyboard.press("+")
    page.wait_for_function("view => latente.maps[0].place(10, 10)[0] !== view[0]", arg=view)
    page.keyboard.press("3")
    assert state(page, "panel") == "dims"
    page.keyboard.press("Escape")
    page.wait_for_function("() => latente.state.get('pins').length === 0")
    page.keyboard.press("?")
    page.locator("#help-dialog").wait_for(state="visible")


def test_what_is_drawn_is_encoded(visit: Callable[..., Any]) -> None:
    page = visit("flat", "#panel=draw")
    pad = page.locator("#panel-draw canvas").first
    box = pad.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.2)
    page.mouse.down()
    for step in range(8):
        page.mouse.move(
            box["x"] + box["width"] * 0.5, box["y"] + box["height"] * (0.2 + 0.08 * step)
        )
    page.mouse.up()
    page.wait_for_function(
        "n => document.querySelectorAll('#panel-draw .similar button, button.similar').length >= n",
        arg=12,
    )
    says(page, "#panel-draw", r"More unusual than \d+")
    says(page, "#panel-draw", "Lands at")


def test_a_file_is_encoded_like_a_drawing(visit: Callable[..., Any], digits: Any) -> None:
    page = visit("flat", "#panel=draw")
    buffer = io.BytesIO()
    grey = (digits.X_test[3] * (255 / digits.X_test.max())).astype(np.uint8)
    Image.fromarray(grey).resize((64, 64)).save(buffer, "PNG")
    page.locator("#panel-draw input[type=file]").set_input_files(
        {"name": "seven.png", "mimeType": "image/png", "buffer": buffer.getvalue()}
    )
    says(page, "#panel-draw", "Lands at")


def test_damage_is_made_good(visit: Callable[..., Any]) -> None:
    page = visit("flat", "#panel=damage&sample=5")
    slider = page.locator("#panel-damage input[type=range]").first
    slider.focus()
    for _ in range(4):
        slider.press("PageUp")
    says(page, "#panel-damage", "PSNR")


def test_a_lasso_gives_a_direction(visit: Callable[..., Any]) -> None:
    page = visit("flat", "#panel=arithmetic&sample=5")
    page.locator("#map0").focus()
    page.keyboard.press("l")
    for group, (left, right) in enumerate(((0.02, 0.45), (0.55, 0.98))):
        before = page.evaluate("() => latente.state.get('selection')?.[0] ?? null")
        page.mouse.move(*middle(page, left, 0.05))
        page.mouse.down()
        for corner in ((right, 0.05), (right, 0.95), (left, 0.95), (left, 0.05)):
            page.mouse.move(*middle(page, *corner), steps=2)
        page.mouse.up()
        page.wait_for_function(
            "before => latente.state.get('selection')?.length > 5"
            " && latente.state.get('selection')[0] !== before",
            arg=before,
        )
        page.get_by_role("button", name=re.compile("^Take the \\d+ selected")).nth(group).click()
    says(page, "#panel-arithmetic", "direction")
    says(page, "#panel-arithmetic", "clearly")
    after = "#panel-arithmetic figure:last-of-type canvas"
    before = filled(page, after, 4)
    slider = page.locator("#panel-arithmetic input[type=range]").first
    slider.focus()
    slider.press("Home")
    redrawn(page, after, before)


def test_two_models_are_compared_under_one_cursor(visit: Callable[..., Any]) -> None:
    page = visit("two")
    assert page.locator("canvas.overlay").count() == 2
    place = page.evaluate("() => latente.maps[0].screen(...latente.maps[0].pointOf(7))")
    box = page.locator("#map0").bounding_box()
    before = drawn(page, "#map1")
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    redrawn(page, "#map1", before)
    assert state(page, "hover")["id"] is not None
    assert page.locator(".twin:visible").count() == 2
    titles = page.locator(".map-title").all_text_contents()
    assert "the two numbers of the code" in titles[0]
    assert "the two principal components" in titles[1]


def test_a_code_of_many_numbers_has_a_slider_for_each(visit: Callable[..., Any]) -> None:
    page = visit("deep", "#panel=dims")
    sliders = page.locator("#panel-dims input[type=range]")
    page.wait_for_function("() => document.querySelectorAll('#panel-dims canvas').length > 5")
    assert sliders.count() == 12
    before = filled(page, "#panel-dims canvas")
    sliders.first.focus()
    sliders.first.press("End")
    redrawn(page, "#panel-dims canvas", before)
    page.get_by_role("button", name="Show 8 more dimensions").click()
    assert sliders.count() == 20


@pytest.mark.parametrize("name", ["table", "series"])
def test_rows_and_series_are_drawn(visit: Callable[..., Any], name: str) -> None:
    page = visit(name, "#sample=3&panel=selected")
    first = filled(page, "#panel-selected canvas:not([hidden])", 2)
    page.evaluate("() => latente.state.set('sample', 40)")
    redrawn(page, "#panel-selected canvas:not([hidden])", first)
    figures = page.locator("#panel-selected .figures")
    wide = figures.locator("figure:visible").bounding_box()["width"]
    assert wide > 0.95 * figures.bounding_box()["width"]
    if name == "table":
        says(page, "#panel-selected", "height")


def test_an_address_shows_the_same_view_in_another_tab(visit: Callable[..., Any]) -> None:
    page = visit("flat", "#panel=dims")
    page.evaluate("() => { latente.maps[0].zoom(2); }")
    page.locator("#legend button").first.click()
    page.wait_for_function("() => /view=/.test(location.hash) && /off=/.test(location.hash)")
    where = page.evaluate("() => location.hash")
    other = visit("flat", where)
    assert state(other, "view") == pytest.approx(state(page, "view"), rel=1e-3)
    assert state(other, "off") == state(page, "off") == [0]
    assert state(other, "panel") == "dims"
    assert other.evaluate("() => latente.maps[0].place(50, 50)") == pytest.approx(
        page.evaluate("() => latente.maps[0].place(50, 50)"), rel=1e-3
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "#color=nothing&panel=nowhere&sample=99999",
        "#view=3,1,2&pins=a,b;1&off=-1&dims=x",
        "#%E0%A4%A",
    ],
)
def test_a_wrong_address_shows_what_it_can(visit: Callable[..., Any], wrong: str) -> None:
    page = visit("flat", wrong)
    page.mouse.move(*middle(page))
    says(page, "#point", "Place")
    filled(page, "#point canvas")


def test_a_server_that_is_gone_is_told(browser: Any, scenes: Any) -> None:
    server = serve(scenes["flat"](), port=0)
    page = browser.new_page()
    page.goto(server.url)
    page.wait_for_selector("html[data-ready]")
    server.stop()
    page.mouse.move(*middle(page))
    page.wait_for_selector("#trouble:not([hidden])")
    assert page.get_by_role("button", name="Try again").is_visible()
    told = page.get_by_text("does not answer")
    assert [told.nth(i).is_visible() for i in range(told.count())].count(True) == 1
    page.close()


def test_a_fit_is_watched(visit: Callable[..., Any], digits: Any) -> None:
    from latente.explorer.learning import Learning

    learning = Learning(
        Autoencoder(2, epochs=6, random_state=0), digits.X, digits.X_test, digits.y_test
    )
    server = serve(learning.scene, port=0, learning=learning)
    fit = threading.Thread(target=learning.run)
    try:
        page = visit(server.url, "#panel=learning")
        fit.start()
        fit.join()
        page.wait_for_function("() => latente.info.learning?.done")
        slider = page.locator("#panel-learning input[type=range]").first
        page.wait_for_function("() => latente.maps[0].info === latente.info.models[0]")
        last = page.evaluate("() => [...latente.maps[0].pointOf(0)]")
        slider.focus()
        slider.press("Home")
        page.wait_for_function("last => latente.maps[0].pointOf(0)[0] !== last[0]", arg=last)
    finally:
        server.stop()


class Gate:
    """A callback that lets a fit go on when it is told to."""

    def __init__(self) -> None:
        self.open = threading.Event()

    def __deepcopy__(self, memo: Any) -> Gate:
        return self

    def on_epoch_end(self, state: Any) -> None:
        if state.epoch == 2:
            assert self.open.wait(120)


def test_panels_follow_a_model_that_learns(visit: Callable[..., Any], digits: Any) -> None:
    from latente.explorer.learning import Learning

    gate = Gate()
    learning = Learning(
        Autoencoder(2, epochs=3, random_state=0, callbacks=[gate]),
        digits.X,
        digits.X_test,
        digits.y_test,
    )
    server = serve(learning.scene, port=0, learning=learning)
    fit = threading.Thread(target=learning.run)
    try:
        page = visit(server.url, "#panel=selected&sample=3&pins=0,0,7")
        page.mouse.move(*middle(page, 0.4, 0.4))
        says(page, "#point", "Place")
        parts = ["#point canvas", "#panel-selected figure:nth-of-type(2) canvas"]
        before = [filled(page, part, 2) for part in parts]
        fit.start()
        page.wait_for_function("() => latente.state.get('learned') === 1")
        for part, shown in zip(parts, before, strict=True):
            redrawn(page, part, shown)
        assert not page.evaluate("() => latente.info.learning.done")
        page.wait_for_function(
            """() => { const [x, y] = latente.maps[0].pointOf(7);
              const [pin] = latente.state.get('pins');
              return Math.hypot(pin[0] - x, pin[1] - y) < 1e-3 * Math.hypot(x, y); }"""
        )
        gate.open.set()
        page.wait_for_function("() => latente.info.learning.done")
        page.close()
    finally:
        gate.open.set()
        fit.join()
        server.stop()


def test_points_are_drawn_when_the_view_moves_not_under_the_mouse(
    visit: Callable[..., Any],
) -> None:
    page = visit("flat")
    page.evaluate(
        """() => { const [map] = latente.maps; const { draw } = map.painter;
          window.draws = 0; window.frames = 0;
          map.painter.draw = function (...all) { window.draws += 1; draw.apply(this, all); };
          latente.onFrame = () => { window.frames += 1; }; }"""
    )
    ids = page.evaluate(
        "() => [3, 40].map((id) => latente.maps[0].screen(...latente.maps[0].pointOf(id)))"
    )
    box = page.locator("#map0").bounding_box()
    draws = page.evaluate("() => draws")
    for across, down in ids * 8:
        frames = page.evaluate("() => frames")
        page.mouse.move(box["x"] + across, box["y"] + down)
        page.wait_for_function("frames => window.frames > frames", arg=frames)
    assert page.evaluate("() => draws") <= draws + 4  # the page may still settle
    draws = page.evaluate("() => draws")
    page.evaluate("() => latente.maps[0].pan(5, 5)")
    page.wait_for_function("draws => window.draws > draws", arg=draws)


def test_points_that_take_long_are_carried_until_the_map_rests(visit: Callable[..., Any]) -> None:
    page = visit("flat")
    page.wait_for_function("() => !latente.maps[0].canvas.style.transform")
    carried = page.evaluate(
        """() => new Promise((say) => { const [map] = latente.maps;
          Object.defineProperty(map.painter, "cost", { value: 500 });
          latente.onFrame = () => {
            latente.onFrame = () => {
              latente.onFrame = null;
              say([map.canvas.style.transform, map.ground.style.transform]);
            };
            map.pan(30, -20); map.zoom(1.5, 0, 0);
          };
          map.draw(); })"""
    )
    numbers = [float(value) for value in re.findall(r"-?[\d.]+", carried[0])]
    assert numbers == pytest.approx([45, -30, 1.5], abs=1e-6)
    assert carried[0] == carried[1]
    page.wait_for_function("() => latente.maps[0].canvas.style.transform === ''")


def test_texts_are_shown_side_by_side(visit: Callable[..., Any]) -> None:
    page = visit("texts", "#panel=selected&sample=1")
    original = page.locator("#panel-selected .sample-text").first
    page.wait_for_function(
        "() => document.querySelector('#panel-selected .sample-text').textContent === 'wordb'"
    )
    assert original.is_visible()
    place = page.evaluate("() => latente.maps[0].screen(...latente.maps[0].pointOf(2))")
    box = page.locator("#map0").bounding_box()
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    page.wait_for_function(
        "() => /^word[a-z]$/.test(document.querySelectorAll('#point .sample-text')[1].textContent)"
    )


def test_the_one_number_of_a_code_is_called_so(visit: Callable[..., Any]) -> None:
    page = visit("texts", "#lang=es")
    assert page.locator(".map-title").text_content().startswith("el único número del código")


@pytest.mark.parametrize("language", ["en", "es", "pt"])
def test_tabs_are_one_row(visit: Callable[..., Any], language: str) -> None:
    page = visit("flat", f"#lang={language}&panel=arithmetic", width=1280, height=800)
    tabs = page.locator("#tabs .tab")
    tops = {tabs.nth(i).bounding_box()["y"] for i in range(tabs.count())}
    assert tabs.count() == 6
    assert len(tops) == 1
    row, last = page.locator("#tabs").bounding_box(), tabs.last.bounding_box()
    assert last["x"] + last["width"] <= row["x"] + row["width"] + 1, "the chosen tab is not seen"


def test_a_page_enlarged_twice_is_scrolled(visit: Callable[..., Any]) -> None:
    page = visit("flat", "#panel=arithmetic", width=640, height=400)
    assert page.locator(".head").bounding_box()["y"] == 0
    assert page.locator("#map0").bounding_box()["height"] > 180
    page.locator("#tab-dims").click()
    slider = page.locator("#panel-dims input[type=range]").first
    slider.focus()
    box = slider.bounding_box()
    assert 0 <= box["y"] <= 400 - box["height"]


@pytest.mark.parametrize(("language", "word"), [("es", "Dimensiones"), ("pt", "Dimensões")])
def test_the_page_speaks(visit: Callable[..., Any], language: str, word: str) -> None:
    page = visit("flat", f"#lang={language}")
    assert page.evaluate("() => document.documentElement.lang") == language
    assert word in page.locator("#tabs").text_content()


def test_all_words_are_there_in_all_languages(visit: Callable[..., Any]) -> None:
    page = visit("flat")
    missing = page.evaluate(
        """async () => {
          const {missing} = await import("./static/words.js");
          return missing();
        }"""
    )
    assert missing == {"en": [], "es": [], "pt": []}


def test_a_narrow_page_keeps_all_in_reach(visit: Callable[..., Any]) -> None:
    page = visit("flat", width=360, height=740)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    box = page.locator("#map0").bounding_box()
    assert box["height"] > 200
    page.locator("#tab-draw").click()
    page.locator("#panel-draw canvas").first.wait_for(state="visible")
