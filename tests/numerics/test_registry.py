"""Modules are found by the name of the kind; a kind without any says so."""

from __future__ import annotations

import pytest

from accelsim import catalog
from accelsim.errors import RequestError
from accelsim.numerics import registry
from accelsim.spec.format import KINDS


def test_every_kind_is_implemented():
    assert registry.implemented() == tuple(KINDS)


def test_a_kind_without_a_reference_is_priced_and_not_computed(monkeypatch):
    monkeypatch.setattr(registry, "_module", lambda part, kind: None)
    with pytest.raises(RequestError, match="of kind 'takum' are priced, not computed"):
        registry.reference.__wrapped__(catalog.format_("takum8"))


def test_a_format_with_scales_is_no_grid_and_no_element():
    for ask in (registry.grid, registry.element_codec):
        with pytest.raises(RequestError, match="gobo3 carries scales"):
            ask(catalog.format_("gobo3"))
