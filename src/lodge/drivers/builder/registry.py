"""Which builder knows which recipe."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from lodge.base.world import World
from lodge.drivers.builder.contract import ImageBuilder
from lodge.drivers.builder.errors import RecipeNotFoundError

__all__ = ["BUILDERS", "RECIPES", "load_builder"]

BUILDERS: Mapping[str, str] = MappingProxyType(
    {
        "tiny": "lodge.drivers.builder.tiny.driver:TinyBuilder",
        "debian": "lodge.drivers.builder.debian.driver:DebianBuilder",
        "fake": "lodge.drivers.builder.fake.driver:FakeBuilder",
    }
)
"""Builder name to ``module:class``; imported only when it is used."""

RECIPES: Mapping[str, str] = MappingProxyType(
    {"tiny": "tiny", "debian-12": "debian", "debian-13": "debian"}
)
"""Recipe name to builder name."""


def load_builder(recipe: str, world: World) -> ImageBuilder:
    """Return the builder that knows a recipe.

    Raises:
        RecipeNotFoundError: none does.
    """
    if recipe not in RECIPES:
        raise RecipeNotFoundError(
            f"there is no recipe {recipe!r}; there are: {', '.join(RECIPES)}", where="recipe"
        )
    module, _, name = BUILDERS[RECIPES[recipe]].partition(":")
    made: ImageBuilder = getattr(import_module(module), name)(world)
    return made
