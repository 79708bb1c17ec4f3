import torch

from mi_probe.estimators.mine.inputs import Vectors
from mi_probe.estimators.mine.statistics_network import (
    KINDS,
    AnswerSide,
    ClassVectors,
    Statistics,
    VectorSide,
)


def networks(problems=3):
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(20, 5, generator=draw)
    y = torch.randn(20, 2, generator=draw)
    ids = torch.randint(4, (20, 3), generator=draw)
    ids[::3, 2] = -1
    view, other = Vectors(x, x), Vectors(y, y)
    for kind in KINDS.values():
        made = (problems, 4, draw)
        yield Statistics(VectorSide(view, kind, problems, 7, draw), None), 7
        for y_side in (
            VectorSide(other, kind, problems, 5, draw).as_y(draw),
            ClassVectors(20, *made),
            AnswerSide(ids, *made),
        ):
            yield Statistics(VectorSide(view, kind, *made), y_side), 20


def test_nothing_is_said_before_the_first_step():
    rows = torch.arange(18).view(3, 6)
    for network, columns in networks():
        found = network(rows, torch.arange(20).expand(3, 20))
        assert found.shape == (3, 6, columns)
        assert not found.any()


def test_every_weight_can_learn():
    rows = torch.arange(18).view(3, 6)
    for network, columns in networks():
        with torch.no_grad():
            for w in network.parameters():
                w.add_(0.3)
        aim = torch.randn(3, 6, columns, generator=torch.Generator().manual_seed(1))
        (network(rows, torch.arange(20).expand(3, 20)) * aim).sum().backward()
        assert all(w.grad is not None and w.grad.any() for w in network.parameters())


def test_problems_share_nothing():
    rows = torch.arange(18).view(3, 6)
    columns = torch.arange(20).expand(3, 20)
    for network, _ in networks():
        with torch.no_grad():
            for w in network.parameters():
                w.add_(torch.randn(w.shape, generator=torch.Generator().manual_seed(2)))
            together = network(rows, columns)
            for k in range(3):
                alone = network(rows[k : k + 1], columns[:1], slice(k, k + 1))
                assert torch.allclose(alone[0], together[k], atol=1e-4)
            for w in network.parameters():
                w[1] += 1
            assert torch.equal(network(rows, columns)[0], together[0])


def test_all_weights_are_trained_once():
    for network, _ in networks():
        named = [id(w) for group in network.groups(1e-3) for w in group["params"]]
        assert sorted(named) == sorted(map(id, network.parameters()))
