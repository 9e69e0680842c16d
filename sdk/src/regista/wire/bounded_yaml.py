"""Read YAML of others: nothing in it unfolds into more than its text. Needs PyYAML: the extra `import`."""

from __future__ import annotations

from typing import Any

import yaml

MOST_NODES = 20_000
"""Values in a file."""
LONGEST_NUMBER = 100
"""Characters of a number or time: reading the form `1:59:59` takes quadratic time."""
_TEXT = "tag:yaml.org,2002:str"


class TooMuch(yaml.YAMLError):
    """What is not read. The text states why."""


ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What `load` raises: PyYAML has no own error for a value that is not what its tag states."""


class _Loader(yaml.SafeLoader):
    """Reads trees: an alias would name one value many times."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise TooMuch("it has aliases")
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise TooMuch(f"it has more than {MOST_NODES:,} values")
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and node.tag != _TEXT and len(node.value) > LONGEST_NUMBER:
            raise TooMuch("a number or time in it is too long")
        return node


def load(raw: bytes) -> Any:
    """Return what the text states. Raises `ERRORS`."""
    return yaml.load(raw, _Loader)  # noqa: S506 - a SafeLoader
