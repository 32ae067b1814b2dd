"""The explorer's panels: their arithmetic, drawing on pixels, and animations."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

STATIC = Path(__file__).parent.parent / "src" / "latente" / "explorer" / "static"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None, reason="node, which runs the page's code, is not here"
)
BROWSER = """
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
globalThis.document = { documentElement: { dataset: {} } };
"""


def in_node(code: str, folder: Path, *names: str) -> object:
    """Run code that imports modules of the page; return what it gives to ``say``."""
    assert NODE is not None
    shutil.copytree(STATIC, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "browser.js").write_text(BROWSER)
    lines = ['import fs from "fs";', 'import "./browser.js";']
    lines += [f'import * as {name} from "./{name}.js";' for name in names]
    lines += ['const say = (x) => fs.writeFileSync("said.json", JSON.stringify(x));', code]
    (folder / "run.js").write_text("\n".join(lines))
    subprocess.run([NODE, "run.js"], cwd=folder, check=True, timeout=60)
    return json.loads((folder / "said.json").read_text())


@needs_node
def test_walks_pass_all_stops_and_find_the_nearest_place(tmp_path: Path) -> None:
    said = in_node(
        """
const stops = [[0, 0], [1, 2], [3, 0]];
say({
  names: [0, 25, 26, 701, 702].map(path.pinName),
  along: [0, 0.5, 0.75, 1, 7].map((share) => path.along(stops, share)),
  alone: path.along([[5, 6]], 0.5),
  nearest: [
    path.nearestShare([[0, 0], [2, 0], [2, 2]], [2.5, 1]),
    path.nearestShare([[0, 0], [0, 0]], [1, 1]),
  ],
  sweep: path.sweep([1, 2, 3], 1, 0, 4, 3),
  moved: path.moved([1, 2], [1, -1], 2),
  apart: path.rootMeanSquare([1, NaN, 3], [1, 2, 5]),
  spread: [walk.spread(3, 8), walk.spread(16, 4)],
  steps: [[2, 16, 99], [3, 16, 99], [6, 3, 99], [3, 16, 10], [20, 9, 5]].map(
    ([stops, steps, most]) => path.stepsThrough(stops, steps, most)),
  short: [words.shortened("a class, number 12", 18), words.shortened("a class, number 12", 11)],
});
""",
        tmp_path,
        "path",
        "walk",
        "words",
    )
    assert said == {
        "names": ["A", "Z", "AA", "ZZ", "AAA"],
        "along": [[0, 0], [1, 2], [2, 1], [3, 0], [3, 0]],
        "alone": [5, 6],
        "nearest": [0.75, 0],
        "sweep": [[1, 0, 3], [1, 2, 3], [1, 4, 3]],
        "moved": [3, 0],
        "apart": pytest.approx(2**0.5),
        "spread": [[0, 1, 2], [0, 5, 10, 15]],
        "steps": [16, 17, 6, 9, 5],
        "short": ["a class, number 12", "a cla…er 12"],
    }


@needs_node
def test_of_many_requests_the_newest_is_answered(tmp_path: Path) -> None:
    said = in_node(
        """
const [asked, done, failed] = [[], [], []];
const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));
const line = new request.Latest(
  async (input) => {
    asked.push(input);
    await wait(5);
    if (input === "bad") throw new Error("no");
    return input === "old" ? null : input;
  },
  (answer) => done.push(answer),
  (error) => failed.push(error.message),
);
for (let i = 0; i < 6; i += 1) line.ask(i);
await wait(60);
line.ask("old");
await wait(60);
line.ask("bad");
await wait(60);
line.ask("dropped");
line.cancel();
await wait(60);
line.ask("last");
await wait(60);
say({ asked, done, failed });
""",
        tmp_path,
        "request",
    )
    assert said == {
        "asked": [0, 5, "old", "bad", "dropped", "last"],
        "done": [0, 5, "last"],
        "failed": ["no"],
    }


@needs_node
def test_drawing_covers_and_erasing_uncovers(tmp_path: Path) -> None:
    said = in_node(
        """
const sheet = new canvas.Pixels(12, 10, 1, [20]);
sheet.stroke([2, 5], [9, 5], 2, [255]);
const drawn = Array.from(sheet.pixels);
sheet.stroke([2, 5], [9, 5], 4, [20]);
const erased = sheet.empty;
sheet.stroke([6, 5], [6, 5], 1, [255]);
sheet.invert();
const colour = new canvas.Pixels(4, 4, 3, [255, 255, 255]);
colour.stroke([2, 2], [2, 2], 3, canvas.channelsOf("#dd2211", 3));
const border = canvas.borderColour([
  { width: 2, height: 3, channels: 1, pixels: [7, 7, 99, 99, 7, 7] },
]);
say({
  drawn, erased, border, inverted: Math.min(...sheet.pixels),
  colour: Array.from(colour.pixels.slice(15, 18)),
  grey: canvas.channelsOf("#ffffff", 1), hex: [canvas.hexOf([255]), canvas.hexOf([221, 34, 17])],
});
""",
        tmp_path,
        "canvas",
    )
    assert isinstance(said, dict)
    drawn = np.reshape(said.pop("drawn"), (10, 12))
    assert (drawn[4:6, 2:9] == 255).all()
    assert (drawn[[0, 1, 2, 7, 8, 9]] == 20).all()
    assert said.pop("inverted") < 235
    assert said == {
        "erased": True, "colour": [221, 34, 17], "grey": [255], "hex": ["#ffffff", "#dd2211"],
        "border": [7],
    }  # fmt: skip


@needs_node
def test_gifs_keep_every_grey_and_close_colours(tmp_path: Path) -> None:
    said = in_node(
        """
const picture = (channels, value) => ({
  kind: "picture", width: 16, height: 8, channels,
  pixels: Uint8Array.from({ length: 16 * 8 * channels }, value),
});
const frames = (samples) => samples.map((sample) => animation.enlarged(sample, 2));
const grey = [picture(1, (_, i) => i), picture(1, (_, i) => 255 - i), picture(1, () => 3)];
const order = animation.timing(3, 1, true);
fs.writeFileSync("grey.gif", animation.gif(frames(grey), 32, 16, order));
const colours = [picture(3, (_, i) => (i * 7) % 256), picture(3, (_, i) => (i * 11) % 256)];
const once = animation.timing(2, 1, false);
fs.writeFileSync("colours.gif", animation.gif(frames(colours), 32, 16, once));
say({
  order, at: [0, 499, 500, 999, 1000, 1999, 2000].map((time) => animation.frameAt(order, time)),
  strip: animation.stripLayout(16, { width: 320, height: 178 }),
  line: animation.stripLayout(3, { width: 56, height: 56 }),
});
""",
        tmp_path,
        "animation",
    )
    assert isinstance(said, dict)
    assert [(step["frame"], step["delay"]) for step in said["order"]] == [
        (0, 500), (1, 500), (2, 500), (1, 500),
    ]  # fmt: skip
    assert said["at"] == [0, 0, 1, 1, 2, 3, 0]
    assert (said["line"]["width"], said["line"]["height"]) == (3 * 56 + 4, 56)
    assert (said["strip"]["width"], said["strip"]["height"]) == (8 * 320 + 14, 2 * 178 + 2)
    assert said["strip"]["cells"][9] == {"left": 322, "top": 180}
    ramp = np.arange(128).reshape(8, 16).repeat(2, 0).repeat(2, 1)
    with Image.open(tmp_path / "grey.gif") as image:
        assert (image.n_frames, image.info["loop"], image.info["duration"]) == (4, 0, 500)
        for frame, wanted in ((0, ramp), (1, 255 - ramp), (2, np.full_like(ramp, 3))):
            image.seek(frame)
            assert (np.asarray(image.convert("L")) == wanted).all()
    wanted = (np.arange(384).reshape(8, 16, 3) * 7 % 256).repeat(2, 0).repeat(2, 1)
    with Image.open(tmp_path / "colours.gif") as image:
        found = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(found - wanted).mean() < 12


@needs_node
def test_samples_are_read_and_described(tmp_path: Path) -> None:
    said = in_node(
        """
const data = {
  kind: "rows", features: ["age", "town"], low: [0, 0], high: [100, 1],
  levels: [null, ["Lima", "Rome"]],
};
const answer = { decoded: { data: Float32Array.from([20, 0, 40, 0.8]), shape: [2, 2] }, meta: {} };
const row = sample.sampleOf(data, answer, "decoded", 1);
const sequence = {
  kind: "sequence", length: 4, channels: 2,
  values: Float32Array.from([1, NaN, 2, 3, NaN, NaN, NaN, NaN]),
};
const texts = { meta: { texts: { originals: ["one", "two"] } } };
say({
  row: Array.from(row.values, Math.round), words: sample.valueWords(data, 1, row.values[1]),
  missing: sample.sampleOf(data, answer, "damaged"),
  text: sample.sampleOf(data, texts, "originals", 1).text,
  steps: sample.lengthOf(sequence),
  lanes: sample.laneLimits({ low: [0, 0], high: [1, 1] }, sequence, null, 1),
  order: sample.columnOrder([1, 5, 3], [1, 1, 2], [0, 0, 0], [10, 10, 1], 2),
  all: sample.columnOrder([1, 5, 3], [1, 1, 2], [0, 0, 0], [10, 10, 1]),
  rgba: Array.from(sample.rgba({ width: 1, height: 1, channels: 1, pixels: [9] })),
  inked: [0, 255].map((pixel) => Array.from(
    sample.rgba({ width: 1, height: 1, channels: 1, pixels: [pixel], ink: true }))),
  difference: Array.from(sample.difference(
    { pixels: Uint8Array.of(5, 9) }, { pixels: Uint8Array.of(9, 5) }).pixels),
  near: [[0.5, 9], [0.8, 9], [0.95, 9], [0.95, 0.1], [1, 0.1], [1, null]].map(
    ([inside, distance]) => nearness.nearness(Math.fround(inside), distance, 1)),
  percentiles: [0, 0.001, 0.5, 0.999, 1].map(drawing.ofHundred),
  damages: damage.chosenDamages(
    [{ name: "noise", low: 0 }, { name: "blur", low: 1 }], { noise: 0.5, blur: 1 }),
  base64: damage.base64(Uint8Array.of(1, 2, 255)), members: arithmetic.members([1, 0, 1, NaN], 1),
  amounts: arithmetic.amounts(), cell: dims.cellOf(0.9, 0, 1, 5),
  mean: dims.meanCode([{ dim: 2, mean: 5 }, { dim: 0, mean: 1 }], [9, 9, 9]),
  nearestRow: point.nearestRow([5, 5, 1, 1, 0, 9], 1, 0),
  pins: [path.withPin([[1, 2]], [1, 2]).length, path.withPin([[1, 2]], [1, 3]).length],
});
""",
        tmp_path,
        "sample",
        "nearness",
        "drawing",
        "damage",
        "arithmetic",
        "dims",
        "path",
        "point",
    )
    assert said == {
        "row": [40, 1], "words": "Rome", "missing": None, "text": "two",
        "steps": 2, "lanes": [0, 3], "order": [2, 1, 0], "all": [0, 1, 2],
        "rgba": [9, 9, 9, 255], "inked": [[241, 243, 246, 255], [28, 39, 51, 255]],
        "difference": [4, 4],
        "near": ["dense", "middle", "hole", "sparse", "edge", "edge"],
        "percentiles": [0, 1, 50, 99, 100], "damages": {"noise": 0.5}, "base64": "AQL/",
        "members": [0, 2], "amounts": [-3, -2, -1, 0, 1, 2, 3], "cell": 4, "mean": [1, 9, 5],
        "pins": [1, 2], "nearestRow": 1,
    }  # fmt: skip
