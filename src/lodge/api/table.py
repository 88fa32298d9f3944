"""The table of all routes: the one place that says what the API is."""

from lodge.api.route import Route
from lodge.api.routes import (
    access,
    events,
    guests,
    hosts,
    images,
    instances,
    networks,
    power,
    profiles,
    storage,
    tasks,
)

__all__ = ["ROUTES"]

ROUTES: tuple[Route, ...] = (
    *hosts.ROUTES,
    *instances.ROUTES,
    *power.ROUTES,
    *guests.ROUTES,
    *images.ROUTES,
    *storage.ROUTES,
    *networks.ROUTES,
    *profiles.ROUTES,
    *tasks.ROUTES,
    *events.ROUTES,
    *access.ROUTES,
)
