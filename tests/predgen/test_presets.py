"""Presets: which of the published code's faults each has."""

from mi_probe.predgen.alignment import ALIGNMENTS
from mi_probe.predgen.presets import BUGS
from mi_probe.predgen.settings import preset


def test_the_faithful_preset_has_the_bugs_that_are_on_and_no_other():
    faithful = preset("faithful", backbone="x", task="sst2")
    default = preset("default", backbone="x", task="sst2")
    assert {name for name, bug in BUGS.items() if bug.on} == {
        *("logits_adapter", "no_end", "loss_on_prompt", "alignment_is_product"),
        *("short_ramp", "last_not_best", "trained_biases"),
    }
    for bug in BUGS.values():
        assert bug.what
        # What is off says why.
        assert bool(bug.because) != bug.on
        for name, value in (bug.setting or {}).items():
            assert getattr(faithful, name) == value
        # Of a bug with several settings, the default has at least one otherwise.
        if bug.on:
            assert any(getattr(default, n) != v for n, v in bug.setting.items())
    assert faithful.alignment in ALIGNMENTS
    assert faithful.preset == "faithful"


def test_after_ten_micro_batches_every_answer_is_the_model_s_own():
    """As the published run on SST-2 has it, in steps of three micro-batches."""
    faithful = preset("faithful", backbone="x", task="sst2")
    chances = [faithful.own_tokens.probability(step, 1000) for step in range(5)]
    published = [min(1, batch / 10) for batch in range(15)]
    for step, chance in enumerate(chances):
        of_step = published[3 * step : 3 * step + 3]
        assert min(of_step) <= chance <= max(of_step)
