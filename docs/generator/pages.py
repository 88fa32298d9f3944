"""Which pages there are."""

from collections.abc import Mapping

from generator.capabilities import capabilities_page
from generator.catalogue import catalogue_page
from generator.commands import commands_page
from generator.errors import errors_page
from generator.events import events_page
from generator.exits import exit_codes_page
from generator.routes import openapi_document, routes_page
from generator.settings import settings_page
from generator.states import states_page

__all__ = ["pages"]


def pages() -> Mapping[str, str]:
    """Return every file of the reference by its name."""
    return {
        "api.md": routes_page(),
        "capabilities.md": capabilities_page(),
        "catalogue.md": catalogue_page(),
        "cli.md": commands_page(),
        "errors.md": errors_page(),
        "events.md": events_page(),
        "exit-codes.md": exit_codes_page(),
        "openapi.json": openapi_document(),
        "settings.md": settings_page(),
        "states.md": states_page(),
    }
