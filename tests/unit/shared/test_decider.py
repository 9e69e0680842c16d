"""What a joint decision gets as its input."""

from __future__ import annotations

from typing import Any

import pytest

from shared.deciding.decider import Fold, Streams

SHOP: Fold[Any, int] = Fold("shop", 0, lambda state, _: state + 1)
SHOPS: Fold[Any, int] = Fold("shops", 0, lambda state, _: state + 1)


def test_a_state_is_given_for_a_stream_that_was_loaded() -> None:
    assert Streams({"shop-1": 7}).state(SHOP, "shop-1") == 7


@pytest.mark.parametrize(("fold", "stream"), [(SHOP, "shop-2"), (SHOPS, "shop-1"), (SHOP, "shops-1")])
def test_a_stream_that_was_not_loaded_or_is_of_another_kind_is_an_error(
    fold: Fold[Any, int], stream: str
) -> None:
    with pytest.raises(KeyError, match=stream):
        Streams({"shop-1": 7, "shops-1": 1}).state(fold, stream)
