"""What ``python -m mi_probe.tokens`` is told, and what can be checked at once."""

from dataclasses import dataclass
from typing import Literal

from mi_probe.analysis.tokens.controls import CONTROLS, checked_controls
from mi_probe.analysis.tokens.span_kinds import KINDS, Finder, parse_spans
from mi_probe.errors import InputError
from mi_probe.options import about, listed
from mi_probe.run_settings import RunSettings, check_run, check_seeds, chosen_sites

PROGRAM = "python -m mi_probe.tokens"


@dataclass(frozen=True)
class TokenSettings(RunSettings):
    """What the command is told, by its options or by a file with the same names."""

    series: bool = about(
        "of a training's folder, its checkpoint-<step> folders too, and not the final "
        "model alone",
        False,
    )
    sites: int | str | list[int | str] = about(
        "hidden_states indices as 0,8,16, names as block.4,final_norm,block.4.mid, or "
        "'all'; each takes a set of tables. By default the last one",
        "-1",
    )
    token_set: Literal["prompt", "all"] | None = about(
        "'all' are the prompt's tokens and those that the model wrote after it; by default "
        "'all' of a trained system that writes, else 'prompt'"
    )
    compare: bool = about("add gradient x input and attention of each token", True)
    controls: str | list[str] = about(
        f"some of {','.join(CONTROLS)}, or none: the same map with random labels, which "
        "about doubles the time, and what memorising a random label a word type gives",
        CONTROLS[0],
    )
    spans: str | None = about(
        f"sets of tokens to be summed up: {', '.join(KINDS)}, and regex:NAME=PATTERN, by "
        "commas; their increments add up to I(Y;Z)"
    )
    seed: int = about("of folds and critics", 0)
    keep_activations: bool = about("leave the hidden states in OUT/activations", False)

    def chosen_sets(self) -> tuple[str, ...] | None:
        """The one that is asked for."""
        return (self.token_set,) if self.token_set else None

    def chosen_controls(self) -> tuple[str, ...]:
        """The controls asked for.

        Raises:
            InputError: on one that is none.
        """
        found = listed(self.controls, "controls")
        return () if found == ["none"] else checked_controls(found)

    def chosen_spans(self) -> dict[str, Finder]:
        """The finders of the spans asked for, by name.

        Raises:
            InputError: on one that is none.
        """
        return parse_spans(self.spans) if self.spans else {}

    def check(self) -> str | list[str]:
        """The sites, after a check of what needs neither data nor model.

        Raises:
            InputError: on the first setting that breaks its rule.
        """
        check_run(self, {}, PROGRAM)
        self.chosen_controls()
        self.chosen_spans()
        check_seeds("seed", [self.seed])
        if self.blocks is not None:
            raise InputError(
                f"blocks must be left out for tokens, which keep every row; got "
                f"{self.blocks}. Write the blocks into a column, and name it with "
                "--group-column."
            )
        return chosen_sites(self.sites)
