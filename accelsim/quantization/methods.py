"""All methods by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from accelsim.errors import UnknownNameError
from accelsim.quantization.arithmetic import Kivi, Split
from accelsim.quantization.method import Method, Nearest
from accelsim.quantization.rescaling import Awq, Rotate, Smooth
from accelsim.quantization.rounding import Ant, Clipping, Gptq, Olive

_ALL: Final[tuple[Method, ...]] = (
    Nearest(), Clipping(), Smooth(), Gptq(), Awq(), Rotate(), Kivi(), Ant(), Olive(), Split(),
)  # fmt: skip

METHODS: Final[Mapping[str, Method]] = MappingProxyType({each.name: each for each in _ALL})
"""The methods; the first is the one that is taken if none is named."""

NEAREST: Final = next(iter(METHODS))


def method(name: str | Method) -> Method:
    """A method by name.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if not isinstance(name, str):
        return name
    found = METHODS.get(name)
    if found is None:
        raise UnknownNameError("method", name, METHODS, hint=f"methods: {', '.join(METHODS)}")
    return found
