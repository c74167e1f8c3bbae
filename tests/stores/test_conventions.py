"""All stores are alike: who knows one knows them all. Each failure says what to change."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from dataclasses import is_dataclass
from datetime import datetime
from typing import Any

import pytest

import aragora_db.stores
from aragora_db.stores import Page, Store
from aragora_db.stores.paging import DEFAULT_LIMIT

STORES = [
    each
    for name in aragora_db.stores.__all__
    if inspect.isclass(each := getattr(aragora_db.stores, name)) and issubclass(each, Store) and each is not Store
]

VERBS = [
    pytest.param(store, name, verb, id=f"{store.__name__}.{name}")
    for store in STORES
    for name, verb in inspect.getmembers(store, inspect.isfunction)
    if not name.startswith("_")
]

# Nouns and articles with which a docstring would describe instead of saying what the verb does.
NOT_VERBS = frozenset(
    ("A", "An", "All", "At", "How", "If", "It", "One", "That", "The", "Where", "Whether", "What", "Which", "Who")
)

EXCEPTIONS = {
    "EloStore.record_match": "its signature is fixed; `record_matches` takes `NewMatch`",
    "DebateStore.update": "each value is optional by itself, and UNSET by default",
    "DebateStore.critiques_by": "the column of critiques is called agent",
    "GenesisStore.verify_ledger": "limit bounds the problems that its report lists",
    "ConsensusStore.clean_up": "limit bounds the rows it moves; without one it moves all",
}
"""Verbs that differ, and why."""


def parameters_of(verb: Any) -> Iterator[tuple[inspect.Parameter, Any]]:
    """Each parameter but self, with its annotation."""
    hints = typing.get_type_hints(verb)
    for each in inspect.signature(verb).parameters.values():
        if each.name != "self":
            yield each, hints.get(each.name)


@pytest.mark.parametrize("store", STORES)
def test_a_store_is_one_class(store: type[Store]) -> None:
    """Parts that share `self` by convention have to be read together, in four files."""
    assert store.__bases__ == (Store,), f"{store.__name__} has other bases than Store: move their verbs into it"
    assert store.__init__ is Store.__init__, f"{store.__name__} has a constructor of its own"


@pytest.mark.parametrize(("store", "name", "verb"), VERBS)
def test_parameters(store: type[Store], name: str, verb: Any) -> None:
    """One name for one thing, and nothing optional by position."""
    values = 0
    for each, annotation in parameters_of(verb):
        by_name = each.name in {"limit", "after"} or annotation in (bool, bool | None)
        assert not by_name or each.kind is inspect.Parameter.KEYWORD_ONLY, f"{each.name} has to be keyword-only"
        if f"{store.__name__}.{name}" not in EXCEPTIONS:
            _check_parameter(each)
            values += annotation not in (datetime, datetime | None) and each.name not in {"limit", "after"}
    assert values <= 6, f"it takes {values} values: make a dataclass of them"


def _check_parameter(parameter: inspect.Parameter) -> None:
    assert parameter.name not in {"agent", "tenant", "session"}, "say agent_name or org_id, and use self.session"
    assert parameter.kind is not inspect.Parameter.VAR_KEYWORD, "name the keywords; UNSET stands for one not given"
    assert parameter.name != "limit" or parameter.default == DEFAULT_LIMIT, f"the default of limit is {DEFAULT_LIMIT}"


@pytest.mark.parametrize(("store", "name", "verb"), VERBS)
def test_results(store: type[Store], name: str, verb: Any) -> None:
    """What a name promises it returns."""
    found = typing.get_type_hints(verb)["return"]
    names = [each.name for each, _ in parameters_of(verb)]
    if name == "get":
        assert type(None) in typing.get_args(found), "get returns the object or None"
    elif name == "get_many":
        assert typing.get_origin(found) is dict, "get_many returns a dict"
    elif name == "delete":
        assert found is type(None), "delete returns None, and raises NotFoundError"
    elif name in {"list", "search"} or ("limit" in names and f"{store.__name__}.{name}" not in EXCEPTIONS):
        assert typing.get_origin(found) is Page, f"{store.__name__}.{name} returns a Page"


@pytest.mark.parametrize(("store", "name", "verb"), VERBS)
def test_docstrings(store: type[Store], name: str, verb: Any) -> None:
    """The first line says what the verb does."""
    text = inspect.getdoc(verb)
    assert text, f"{store.__name__}.{name} says nothing"
    assert text.split()[0] not in NOT_VERBS, f"begin with a verb: {text.splitlines()[0]}"


def types_in(annotation: Any) -> Iterator[type[Any]]:
    """Every class that an annotation names."""
    if inspect.isclass(annotation) and not typing.get_args(annotation):
        yield annotation
    for each in typing.get_args(annotation):
        yield from types_in(each)


@pytest.mark.parametrize(("store", "name", "verb"), VERBS)
def test_types_are_exported(store: type[Store], name: str, verb: Any) -> None:
    """What a verb takes and returns can be named in the caller's own annotations."""
    for annotation in typing.get_type_hints(verb).values():
        for each in types_in(annotation):
            own = each.__module__.startswith("aragora_db.stores.") and (is_dataclass(each) or issubclass(each, tuple))
            exported = each.__name__ in aragora_db.stores.__all__
            assert exported or not own, (
                f"{store.__name__}.{name} names {each.__name__}: export it from aragora_db.stores"
            )
