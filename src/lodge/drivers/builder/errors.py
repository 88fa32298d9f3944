"""What can fail while an image is built."""

from lodge.base.errors import NotFoundError, UnavailableError

__all__ = ["BuildFailedError", "RecipeNotFoundError"]


class RecipeNotFoundError(NotFoundError):
    """No builder knows a recipe of that name."""

    code = "recipe_not_found"
    hint_text = "list the recipes with: lodge image catalogue"


class BuildFailedError(UnavailableError):
    """A build came to something it cannot go on from; the message names it."""

    code = "image_build_failed"
    hint_text = (
        "see the task's log; a mirror that is out of date or out of reach is the usual cause"
    )
