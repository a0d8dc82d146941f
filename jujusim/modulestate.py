"""The values in modules that quick hooks share, and that each hook has for itself."""

import copy
import enum
from types import ModuleType
from typing import Any, Dict, Iterator, List, Tuple

Slot = Tuple[Any, str]
"""A module or a class, and the name of a value in it that hooks change."""

MUTABLE = (list, dict, set, type(None))


def _slots(module: ModuleType) -> Iterator[Slot]:
    """Yield containers and Nones of a module and of its classes, and the module's own objects."""
    values = list(vars(module).items())
    kinds = [value for _, value in values if isinstance(value, type) and value.__module__ == module.__name__]
    for name, value in values:
        own = type(value) in kinds and not isinstance(value, (tuple, enum.Enum))
        if (own or isinstance(value, MUTABLE)) and not name.startswith('__'):
            yield module, name
    for kind in kinds:
        for name, value in vars(kind).items():
            if isinstance(value, MUTABLE) and not issubclass(kind, (tuple, enum.Enum)) and name[:2] != '__':
                yield kind, name


class State:
    """The values in a set of modules that each hook has for itself."""

    def __init__(self, modules: List[ModuleType]) -> None:
        self.slots = [slot for module in modules for slot in _slots(module)]
        self._pristine = copy.deepcopy(self.taken())
        self._flat, self._rest = _sorted(self._pristine)
        self.idle = self.fresh()  # between hooks, for nobody
        named = ((module, *pair) for module in modules for pair in vars(module).items())
        self._functions = {(module, name): value for module, name, value in named if callable(value)}

    def taken(self) -> List[Any]:
        """Return the values as they are now."""
        return [getattr(holder, name) for holder, name in self.slots]

    def fresh(self) -> List[Any]:
        """Return the values as a process would begin with them."""
        fresh, memo = list(self._pristine), {}  # type: ignore[var-annotated]
        for index in self._flat:
            fresh[index] = fresh[index].copy()
        for index in self._rest:
            fresh[index] = copy.deepcopy(fresh[index], memo)  # one object in two places stays one
        return fresh

    def put_back(self) -> List[Tuple[ModuleType, str, Any]]:
        """Put back functions that a hook has replaced; return its own: of which module, name, function."""
        places = [place for place, known in self._functions.items() if getattr(*place, None) is not known]
        replaced = [(module, name, getattr(module, name, None)) for module, name in places]
        for module, name in places:
            setattr(module, name, self._functions[module, name])
        return replaced

    def put(self, values: List[Any]) -> None:
        """Let these be the values now."""
        for (holder, name), value in zip(self.slots, values):
            setattr(holder, name, value)


def _sorted(values: List[Any]) -> Tuple[List[int], List[int]]:
    """Return which values are containers that a shallow copy serves, and which must be copied deeply.

    Most are Nones and empty containers, and `copy.deepcopy` would be slow in finding that out for each hook.
    """
    places = [index for index, value in enumerate(values) if not (value is None or isinstance(value, type))]
    ids = [id(values[index]) for index in places]
    flat = [index for index in places if _is_flat(values[index]) and ids.count(id(values[index])) == 1]
    within: Dict[int, Any] = {}  # what the others lead to
    copy.deepcopy([values[index] for index in places if index not in flat], within)
    flat = [index for index in flat if id(values[index]) not in within]
    return flat, [index for index in places if index not in flat]


def _is_flat(value: Any) -> bool:
    """Tell whether a value is a container of nothing but words and numbers, which cannot change."""
    if type(value) not in (list, dict, set):
        return False
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    return all(part is None or type(part) in (str, bytes, int, float, bool) for part in parts)
