"""The order of streamed rows: every row once an epoch, alike for any number of processes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latente.data.order import Order, RowDraw
from latente.errors import ParameterError

orders = st.builds(
    Order,
    st.lists(st.integers(0, 9), min_size=1, max_size=40).map(lambda s: np.array(s, np.int64)),
    st.integers(1, 9),
    st.integers(1, 6),
)


@settings(max_examples=60, deadline=None)
@given(orders, st.integers(1, 30), st.integers(0, 2**63 - 1))
def test_an_epoch_holds_every_row_exactly_once(order: Order, size: int, seed: int) -> None:
    batches = list(order.batches(size, seed))
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == [(b, i) for b, n in enumerate(order.sizes.tolist()) for i in range(n)]
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)


@settings(max_examples=60, deadline=None)
@given(orders, st.integers(1, 30))
def test_a_batch_takes_its_share_of_each_lane(order: Order, size: int) -> None:
    left = order.rows.astype(float)
    for share in order.shares(size):
        exact = left * share.sum() / left.sum()
        assert (np.abs(share - exact) < 1).all()
        left -= share
    assert not left.any()


@given(orders, st.integers(1, 8))
def test_processes_share_out_the_lanes(order: Order, world: int) -> None:
    if world > len(order.lanes):
        with pytest.raises(ParameterError, match="processes share"):
            order.lanes_of(0, world)
        return
    served = [lane for rank in range(world) for lane in order.lanes_of(rank, world)]
    assert sorted(served) == list(range(len(order.lanes)))


def test_the_order_follows_the_seed_and_is_shuffled() -> None:
    order = Order(np.full(40, 25))
    first, again, other = (list(order.batches(100, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    rows = np.array([b * 25 + i for batch in first for b, i in batch])
    assert len(set(rows[:100] // 125)) == 8  # of each lane
    assert np.abs(np.diff(rows)).mean() > 20


@given(st.integers(2, 5000), st.floats(0.001, 0.9), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_a_draw_leaves_rows_on_both_sides(rows: int, share: float, seed: int) -> None:
    drawn = RowDraw.of(share, rows, seed).has(np.arange(rows))
    assert 0 < drawn.sum() < rows
    expected, spread = rows * share, np.sqrt(rows * share * (1 - share))
    assert abs(int(drawn.sum()) - expected) < 6 * spread + 2


def test_a_draw_asks_for_the_row_alone() -> None:
    draw = RowDraw.of(0.2, 1000, 3)
    whole = draw.has(np.arange(1000))
    assert (
        whole == np.concatenate([draw.has(np.arange(s, s + 10)) for s in range(0, 1000, 10)])
    ).all()
