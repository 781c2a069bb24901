"""Places where Python programs keep state, by where they are."""

from tests.search.places import arguments, code, containers, modules, objects, process
from tests.search.places.place import Place

__all__ = ["PLACES", "Place"]

#: All places, by their names.
PLACES = {
    place.name: place
    for group in (objects, containers, code, modules, process, arguments)
    for place in group.PLACES
}
