"""The table of recipes, and the rows of the courses that they cover.

A new recipe is one module with a `Recipe` named ``RECIPE``, and one line here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module

from ..errors import ParameterError
from ..parts import listed
from .language import mark
from .report import Recipe

ROWS = {
    "M1": mark("dense autoencoder of a 5×7 font through two numbers"),
    "M2": mark("dense autoencoder of MNIST"),
    "M3": mark("deep dense autoencoder of MNIST"),
    "M4": mark("sparse code"),
    "M5": mark("tied weights"),
    "M6": mark("linear autoencoder and PCA"),
    "M7": mark("convolutional autoencoder with pooling"),
    "M8": mark("strided convolutions"),
    "M9": mark("denoising"),
    "M10": mark("variational autoencoder"),
    "M11": mark("contractive, undercomplete, overcomplete"),
    "M12": mark("sequences and text"),
    "M13": mark("faces in a hundred numbers"),
    "U1": mark("map of the code space"),
    "U2": mark("generation"),
    "U3": mark("compression"),
    "U4": mark("image search"),
    "U5": mark("anomaly detection"),
    "U6": mark("watermark removal"),
    "U7": mark("inpainting"),
    "U8": mark("colourisation"),
    "U9": mark("arithmetic with codes"),
    "U10": mark("codes in front of another model"),
    "S1": mark("architectures: error against training time"),
    "S2": mark("optimisers: error against iterations"),
    "S3": mark("denoising the font"),
    "S4": mark("shapes"),
    "S5": mark("grid search"),
    "S6": mark("convolutional against dense"),
    "S7": mark("dimension of balls, cubes and data"),
    "S8": mark("fidelity against code size"),
    "S9": mark("size of a convolution's output"),
}
"""What the courses describe: models (M), uses (U) and studies (S)."""


class Recipes(Mapping[str, Recipe]):
    """The recipes by name; a recipe's module is imported when it is first asked for.

    Parameters
    ----------
    modules
        Module of this package by name of the recipe.
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.modules = modules

    def __getitem__(self, name: str) -> Recipe:
        if name not in self.modules:
            near = get_close_matches(name.casefold(), self.modules, n=1)
            wanted = f"did you mean {near[0]!r}?" if near else f"there are {listed(self.modules)}"
            raise ParameterError(f"there is no recipe {name!r}; {wanted}")
        found: Recipe = import_module(f".{self.modules[name]}", __package__).RECIPE
        return found

    def __contains__(self, name: object) -> bool:
        return name in self.modules

    def __iter__(self) -> Iterator[str]:
        return iter(self.modules)

    def __len__(self) -> int:
        return len(self.modules)


RECIPES = Recipes(
    {
        "demo": "demo",
        "font": "font",
        "font-architectures": "font_architectures",
        "font-optimizers": "font_optimizers",
        "font-denoising": "font_denoising",
        "dense": "dense",
        "sparse": "sparse",
        "linear": "linear",
        "convolutional": "convolutional",
        "denoising": "denoising",
        "variational": "variational",
        "shapes": "shapes",
        "grid": "grid",
        "maps": "maps",
        "code-size": "code_size",
        "layers": "layers",
        "sequences": "sequences",
        "compression": "compression",
        "search": "search",
        "anomalies": "anomalies",
        "restoration": "restoration",
        "faces": "faces",
        "features": "features",
        "dimension": "dimension",
    }
)
"""The recipes by name, in the order in which the courses tell them."""
