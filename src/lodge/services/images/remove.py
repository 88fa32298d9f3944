"""``image.remove``: take an image away that nothing stands on."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import ClassVar

from lodge.model.record import Spec
from lodge.services.images.intake import Intake
from lodge.tasks.contract import OnCrash, StepContext, StepDefinition

__all__ = ["RemoveImage", "RemoveParams"]


class RemoveParams(Spec, frozen=True, kw_only=True):
    """Which one."""

    fingerprint: str


class RemoveImage:
    """Record first, so that nobody makes anything of it any more; then the files."""

    kind: ClassVar[str] = "image.remove"
    params_type: ClassVar[type[RemoveParams]] = RemoveParams
    on_crash: ClassVar[OnCrash] = OnCrash.RESUME
    parallel: ClassVar[int] = 4

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._library = intake.library

    def target(self, params: RemoveParams, /) -> str:
        """The image."""
        return f"images/{params.fingerprint}"

    def locks(self, params: RemoveParams, /) -> AbstractSet[str]:
        """The image."""
        return {f"image:{params.fingerprint}"}

    async def check(self, params: RemoveParams, /) -> None:
        """Refuse an image that is used, or not there.

        Raises:
            ImageInUseError, ImageNotFoundError: with the users.
        """
        self._library.check_unused(self._library.get(params.fingerprint))

    def plan(self, params: RemoveParams, /) -> Sequence[StepDefinition]:
        """List the steps."""
        return (
            StepDefinition("leave", partial(self._leave, params), is_point_of_no_return=True),
            StepDefinition("tidy", self._intake.clear),
        )

    async def _leave(self, params: RemoveParams, context: StepContext) -> None:
        await self._library.leave(params.fingerprint, self._library.work(context.task_id))
        context.result(image=params.fingerprint)
