import torch

from mi_probe.estimators.sequences.token_coordinates import TokenCoordinates, token_inputs


def tokens() -> TokenCoordinates:
    values = torch.arange(24.0).reshape(4, 3, 2)
    return TokenCoordinates(values, torch.tensor([3, 1, 2, 2]))


def test_columns_say_where_a_token_stands_and_what_is_padding():
    inputs = token_inputs(tokens())
    assert inputs.coordinates == 2
    first, last, share, padding, one = inputs.values[..., 2:].unbind(2)
    assert first.tolist() == [[1, 0, 0]] * 4
    assert last.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert share[0].tolist() == [-0.5, 0, 0.5]
    assert padding.tolist() == [[0, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert one.eq(1).all()
    assert not inputs.values[..., :2][padding.bool()].any()


def test_a_batch_has_time_first_and_is_cut_to_its_longest_row():
    inputs = token_inputs(tokens())
    rows = torch.tensor([[1, 2], [3, 1]])
    values, lengths = inputs.batch(rows)
    assert values.shape == (2, 2, 2, 7)
    assert lengths.tolist() == [[1, 2], [2, 1]]
    for m in range(2):
        for b in range(2):
            assert torch.equal(values[m, :, b], inputs.values[rows[m, b], :2])
