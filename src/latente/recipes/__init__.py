"""The courses' experiments: recipes that train, measure, and write a page of what they found.

>>> from latente import recipes
>>> recipes.run("font", "pages", quick=True)  # doctest: +SKIP
"""

from .catalogue import RECIPES, ROWS
from .report import Claim, Recipe, Report
from .running import models_of, run, write_index

__all__ = ["RECIPES", "ROWS", "Claim", "Recipe", "Report", "models_of", "run", "write_index"]
