from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch

from mi_probe import HiddenStates, InputError, Role

PROMPT, GENERATED, GOLD = (int(r) for r in (Role.PROMPT, Role.GENERATED, Role.GOLD))


def states(roles=None):
    return HiddenStates(
        values=torch.arange(24.0).reshape(3, 4, 2),
        mask=torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]]).bool(),
        token_ids=torch.arange(12).reshape(3, 4),
        roles=None if roles is None else torch.tensor(roles, dtype=torch.int8),
        site="block.1",
    )


MIXED = [
    [PROMPT, GENERATED, GOLD, 0],
    [PROMPT, GENERATED, 0, 0],
    [PROMPT, PROMPT, GENERATED, GENERATED],
]


def test_numpy_is_accepted():
    z = HiddenStates(
        values=np.zeros((2, 3, 4), dtype=np.float32),
        mask=np.array([[1, 1, 0], [1, 0, 0]]),
        roles=np.array([[1, 2, 0], [1, 0, 0]]),
    )
    assert isinstance(z.values, torch.Tensor)
    assert z.mask.dtype == torch.bool
    assert z.roles is not None
    assert z.roles.dtype == torch.int8
    assert z.mask.tolist() == [[True, True, False], [True, False, False]]
    by_place = HiddenStates(np.zeros((2, 3, 4)), np.ones((2, 3), dtype=bool))
    assert by_place.values.dtype == torch.float64
    assert by_place.roles is None


def test_it_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        states().site = "block.2"  # type: ignore[misc]


@pytest.mark.parametrize("rows", [[2, 0], np.array([2, 0]), torch.tensor([2, 0])])
def test_indexing_selects_examples(rows):
    z = states(MIXED)
    chosen = z[rows]
    assert len(chosen) == 2
    assert torch.equal(chosen.values, z.values[[2, 0]])
    assert torch.equal(chosen.mask, z.mask[[2, 0]])
    assert chosen.token_ids is not None
    assert chosen.token_ids[0].tolist() == [8, 9, 10, 11]
    assert chosen.roles is not None
    assert chosen.roles.tolist() == [MIXED[2], MIXED[0]]
    assert chosen.site == "block.1"
    assert len(z[1:]) == 2


def test_gold_is_seen_only_where_unmasked():
    assert states(MIXED).has_gold
    assert not states(MIXED)[1:].has_gold
    assert not states().has_gold
    masked = [row[:3] + [GOLD] if row[3] == 0 else row for row in MIXED[1:2] * 3]
    assert not states(masked)[:2].has_gold


def test_keep_masks_the_other_roles():
    z = states(MIXED)
    assert z.keep(Role.PROMPT).mask.sum(1).tolist() == [1, 1, 2]
    assert z.keep(Role.PROMPT, Role.GENERATED).mask.sum(1).tolist() == [2, 2, 4]
    assert not z.keep(Role.PROMPT, Role.GENERATED).has_gold
    assert torch.equal(states().keep(Role.PROMPT).mask, states().mask)
    with pytest.raises(InputError, match="2 of 3 examples hold none that is gold"):
        z.keep(Role.GOLD)


def test_acknowledging_gold_is_remembered():
    z = states(MIXED)
    assert not z.gold_acknowledged
    assert z.acknowledge_gold().gold_acknowledged
    assert z.acknowledge_gold()[[0]].gold_acknowledged


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.zeros((2, 3, 4), dtype=np.int64)}, "values must be floats"),
        ({"values": np.zeros((2, 3), dtype=np.float32)}, "values must be floats"),
        ({"mask": np.ones((2, 4), dtype=bool)}, "mask must have the"),
        ({"roles": np.ones((3, 3), dtype=np.int8)}, "roles must have the"),
        ({"token_ids": np.ones((2, 2), dtype=np.int64)}, "token_ids must have the"),
    ],
)
def test_wrong_shapes_are_named(changes, message):
    given = {
        "values": np.zeros((2, 3, 4), dtype=np.float32),
        "mask": np.ones((2, 3), dtype=bool),
        **changes,
    }
    with pytest.raises(InputError, match=message):
        HiddenStates(**given)


def test_a_notebook_shows_shape_tokens_and_roles():
    roles = np.full((2, 3), Role.PROMPT, dtype=np.int8)
    roles[1, 2] = Role.GOLD
    z = HiddenStates(
        np.zeros((2, 3, 4), dtype=np.float32),
        np.array([[1, 1, 0], [1, 1, 1]]),
        roles=roles,
        site="<b>.7",
    )
    html = z._repr_html_()
    assert "2 examples x 3 tokens x 4 units" in html
    assert "5, 2 to 3 an example" in html
    assert "4 prompt, 1 gold" in html
    assert "know Y trivially" in html
    assert "&lt;b&gt;.7" in html
    assert "know Y" not in z.keep(Role.PROMPT)._repr_html_()


def test_a_notebook_shows_an_empty_selection():
    z = HiddenStates(np.zeros((0, 3, 4), dtype=np.float32), np.zeros((0, 3)))
    assert "0 examples" in z._repr_html_()
