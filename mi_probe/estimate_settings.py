"""What ``python -m mi_probe.estimate`` is told, and what can be checked at once."""

from dataclasses import dataclass

from mi_probe.analysis.control_points import OF_THE_MODEL
from mi_probe.analysis.controls import CHEAP, CONTROLS, chosen_controls
from mi_probe.analysis.profiles import choose_estimators
from mi_probe.capture import VIEWS
from mi_probe.errors import InputError, check_known
from mi_probe.estimators import ESTIMATORS, Estimator, Repeated
from mi_probe.options import about, listed
from mi_probe.run_settings import SeveralSets, check_run, check_seeds, chosen_sites

PROGRAM = "python -m mi_probe.estimate"


@dataclass(frozen=True)
class Settings(SeveralSets):
    """What the command is told, by its options or by a file with the same names."""

    sites: int | str | list[int | str] = about(
        "'all', hidden_states indices as 0,8,16, or names as block.4,final_norm; inside "
        "blocks block.4.attn_out, .mid, .mlp_out, or attn_out for every block's; names of "
        "TransformerLens and paths of modules too",
        "all",
    )
    pooling: str | list[str] = about(
        f"views of the states, of {','.join(VIEWS)}; 'full' is I(Y;Z)", "full,mean,last"
    )
    estimator: str | list[str] = about(f"of {', '.join(ESTIMATORS)}", "auto")
    seeds: int | str | list[int] = about("one estimate each", 0)
    repeats: int = about("splits into folds that each estimate is a mean over", 1)
    controls: str | list[str] = about(
        f"measured beside the states: of {','.join(CONTROLS)}; 'all' or 'none'. The last "
        "two cost about as much as the states do",
        ",".join(CHEAP),
    )
    permutations: int = about("of Y for the null; each repeats the estimate", 0)
    self_test: bool = about(
        "first say how much of known information the estimators recover at this run's n, "
        "d or (t, d) and classes",
        False,
    )

    def asks_answers(self) -> bool:
        """Whether a control that the model itself says is among those asked for."""
        chosen = chosen_controls(listed(self.controls, "controls"))
        return not {*OF_THE_MODEL}.isdisjoint(chosen)


@dataclass(frozen=True)
class Choice:
    """The settings, checked and taken apart."""

    sites: str | list[str]
    views: list[str]
    seeds: list[int]
    estimators: dict[str, Estimator]
    controls: tuple[str, ...]

    def views_of(self, token_set: str) -> list[str]:
        """The views that a token set has."""
        return [view for view in self.views if token_set == "prompt" or view != "head"]

    @classmethod
    def of(cls, settings: Settings) -> "Choice":
        """Check what can be checked without a model.

        Raises:
            InputError: on the first setting that breaks its rule.
        """
        least = {"permutations": 0, "repeats": 1}
        check_run(settings, least, PROGRAM)
        views = listed(settings.pooling, "pooling")
        check_known("pooling", tuple(views), VIEWS)
        estimators: dict[str, Estimator] = choose_estimators(
            listed(settings.estimator, "estimator")
        )
        vectors_only = [n for n, e in estimators.items() if not e.nature.sequences]
        if "full" in views and vectors_only:
            raise InputError(
                f"estimator '{vectors_only[0]}' takes pooled vectors, not all tokens; got "
                "pooling 'full'. Name poolings only, such as --pooling mean,last, or use "
                "'auto', 'mine' or 'attention'."
            )
        if settings.repeats > 1:
            estimators = {
                name: Repeated(estimator=one, repeats=settings.repeats)
                for name, one in estimators.items()
            }
        seeds = listed(settings.seeds, "seeds", int)
        check_seeds("seeds", seeds)
        sites = chosen_sites(settings.sites)
        token_sets = settings.chosen_sets()
        if views == ["head"] and token_sets and "prompt" not in token_sets:
            raise InputError(
                "pooling 'head' reads the prompt, as a classifier does; got token-sets "
                f"{', '.join(token_sets)}. Add 'prompt', or another pooling."
            )
        controls = chosen_controls(listed(settings.controls, "controls"))
        return cls(sites, views, seeds, estimators, controls)
