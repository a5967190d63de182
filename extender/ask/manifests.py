"""
YAML and JSON as people hand them in: files, standard input, text pasted into the page.

Text may be hostile: aliases that unfold to more than a limit are refused before anything is built from them.
"""

from __future__ import annotations

from typing import Any

import yaml

from extender.wire.fields import WireError

MOST_CHARACTERS = 1 << 20
MOST_UNFOLDED = 4 << 20
"""Characters and nodes of a text with all aliases written out."""
DEEPEST = 100

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def documents(text: str, name: str = "manifest") -> list[object]:
    """
    Parses YAML, of which JSON is a part.

    Args:
        text: any number of documents.
        name: what an error calls it.

    Raises:
        WireError: it is no YAML, too large or too deep.
    """
    if len(text) > MOST_CHARACTERS:
        raise WireError(name, f"{len(text)} characters", f"a text of at most {MOST_CHARACTERS}")
    try:
        _check_size(text, name)
        return [document for document in yaml.load_all(text, Loader=_LOADER) if document is not None]
    except yaml.YAMLError as error:
        raise WireError(name, _where(error), "YAML or JSON") from None
    except (ValueError, OverflowError, RecursionError) as error:  # a time with month 13, a key that is a list, …
        raise WireError(name, str(error)[:80], "YAML or JSON") from None


def _where(error: yaml.YAMLError) -> str:
    """What is wrong and where, on one line."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark else " ".join(problem.split())


def _check_size(text: str, name: str) -> None:
    """Adds up what the text unfolds to, alias by alias, without unfolding it."""
    sizes: dict[str, int] = {}
    open_: list[tuple[str | None, int]] = []
    total = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise WireError(name, f"*{event.anchor}", "an alias of something before it")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            event.value.encode()  # a lone surrogate is a ValueError
            total += 1 + len(event.value)
            if event.anchor is not None:
                sizes[event.anchor] = 1 + len(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        if total > MOST_UNFOLDED or len(open_) > DEEPEST:
            raise WireError(name, "its nesting or its aliases", f"at most {DEEPEST} deep and {MOST_UNFOLDED} large")
