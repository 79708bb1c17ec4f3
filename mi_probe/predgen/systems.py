"""The three systems as one module: what they read, and their losses.

- *Predictor*: a head on pooled states of the prompt. The director's loss alone.
- *Generator*: fine-tuning on the answer's text. The writer's loss alone.
- *PredGen*: both. The task adapter reads Z[n:n+m], the states of the answer's tokens, and
  an alignment joins the two losses.
"""

import inspect
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mi_probe.backbones import Backbone
from mi_probe.backbones.sites import Kind
from mi_probe.capture.sequences import decoder_start
from mi_probe.errors import InputError, check_known
from mi_probe.predgen.design import OBJECTIVES, Design, Objective
from mi_probe.predgen.director import LogitsAdapter
from mi_probe.predgen.one_reading import ReadPrompt
from mi_probe.predgen.reader import Writing
from mi_probe.predgen.writer import Read, writer_loss


class System(nn.Module):
    """A language model with what an objective puts on it; a batch in, losses out."""

    # Each batch's loss is its share of the step's already (`step_ahead`): the Trainer is
    # not to divide it by the number of batches.
    accepts_loss_kwargs = True

    def __init__(
        self,
        backbone: Backbone,
        design: Design,
        *,
        head: nn.Module | None = None,
        alignment: nn.Module | None = None,
        director: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Put the parts together; `build_system` makes them.

        Args:
            backbone: the model, with its PEFT method on; with its LM head where the
                objective writes.
            design: what the parts are.
            head: the Predictor's head, or PredGen's task adapter.
            alignment: joins PredGen's two losses.
            director: the loss of the head's outputs.

        Raises:
            InputError: if the model cannot follow the objective.
        """
        super().__init__()
        check_objective(design.objective, backbone.kind)
        if design.loss_on == "all" and backbone.kind == "encoder-decoder":
            raise InputError(
                "loss_on must be 'answer' for an encoder-decoder, whose prompt nobody "
                f"writes; got '{design.loss_on}'."
            )
        self.backbone = backbone
        self.design = design
        self.model = backbone.model
        self.head = head
        self.alignment = alignment
        self.director = director

    @property
    def objective(self) -> Objective:
        """Which of the three it is."""
        return self.design.objective

    @property
    def trainable(self) -> dict[str, int]:
        """How many numbers are trained, of the model, the head and the alignment."""
        parts = {"model": self.model, "head": self.head, "alignment": self.alignment}
        return {
            name: sum(p.numel() for p in part.parameters() if p.requires_grad)
            for name, part in parts.items()
            if part is not None
        }

    @property
    def reads_logits(self) -> bool:
        """Whether the task adapter is the published one, on vocabulary logits."""
        return isinstance(self.head, LogitsAdapter)

    def forward(
        self,
        prompt_ids: Int[Tensor, "b n"],
        prompt_mask: Bool[Tensor, "b n"],
        labels: Tensor,
        answer_ids: Int[Tensor, "b m"] | None = None,
        answer_mask: Bool[Tensor, "b m"] | None = None,
        fed_ids: Int[Tensor, "b k"] | None = None,
        fed_mask: Bool[Tensor, "b k"] | None = None,
        writing: Writing | None = None,
        prompt: ReadPrompt | None = None,
    ) -> dict[str, Tensor]:
        """The losses of a batch, in nats for cross-entropies.

        Args:
            prompt_ids: X; padded left for decoders, see `collate`.
            prompt_mask: true at real tokens.
            labels: Y (b,).
            answer_ids: the right answer's tokens, which the writer is to write.
            answer_mask: true at real ones.
            fed_ids: the answer's tokens that the model reads, where they are its own
                (scheduled sampling); None reads the right ones.
            fed_mask: true at real ones.
            writing: how the model is to write the answer that it reads, in this very pass
                over the prompt (`can_read_once`).
            prompt: these prompts, where they have been read already.

        Returns:
            ``loss``, and those of ``writer`` and ``director`` that there are: means over
            the batch's ``tokens`` and ``rows``, whose numbers are given too. Of a
            Predictor also the ``outputs`` of its head.
        """
        rows = torch.tensor(len(labels), device=labels.device)
        if self.objective == "predictor":
            outputs = self.outputs(prompt_ids, prompt_mask)
            director = self._directed(outputs, labels)
            counts = {"tokens": torch.zeros_like(rows), "rows": rows}
            return {"loss": director, "director": director, "outputs": outputs, **counts}
        assert answer_ids is not None
        assert answer_mask is not None
        if writing is not None:
            prompt = ReadPrompt(self.model, prompt_ids, prompt_mask)
            fed_ids, fed_mask = prompt.write(writing)
        if fed_ids is None or fed_mask is None:
            fed_ids, fed_mask = answer_ids, answer_mask
        read = self.read(prompt_ids, prompt_mask, fed_ids, fed_mask, prompt)
        writer, tokens = writer_loss(
            read, prompt_ids, prompt_mask, answer_ids, answer_mask, fed_mask
        )
        found = {"writer": writer, "tokens": tokens, "rows": rows}
        if self.objective == "generator":
            return {"loss": writer, **found}
        director = self._directed(self._adapted(read, fed_mask), labels)
        return {"loss": self.join(writer, director), **found, "director": director}

    def join(
        self, writer: Float[Tensor, ""], director: Float[Tensor, ""]
    ) -> Float[Tensor, ""]:
        """The loss, of the writer's and the director's: one of them, or both aligned."""
        if self.alignment is not None:
            return self.alignment(writer, director)
        return writer if self.objective == "generator" else director

    def outputs(
        self,
        prompt_ids: Int[Tensor, "b n"],
        prompt_mask: Bool[Tensor, "b n"],
        fed_ids: Int[Tensor, "b m"] | None = None,
        fed_mask: Bool[Tensor, "b m"] | None = None,
        prompt: ReadPrompt | None = None,
    ) -> Float[Tensor, "b k"]:
        """What the head says: of the prompt, or of PredGen's written answer.

        Raises:
            InputError: for a Generator, which has no head.
        """
        if self.head is None:
            raise InputError(
                "a generator has no head: its prediction is the text that it writes. "
                "Read that text."
            )
        if self.objective == "predictor":
            return self.head(self._prompt_states(prompt_ids, prompt_mask), prompt_mask)
        assert fed_ids is not None
        assert fed_mask is not None
        read = self.read(prompt_ids, prompt_mask, fed_ids, fed_mask, prompt)
        return self._adapted(read, fed_mask)

    def values(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        """The head's outputs as labels: the likeliest class, or the score."""
        if self.design.kind == "classes":
            return outputs.argmax(1).float()
        return outputs[:, 0].float() * self.design.spread + self.design.mean

    def read(
        self,
        prompt_ids: Int[Tensor, "b n"],
        prompt_mask: Bool[Tensor, "b n"],
        fed_ids: Int[Tensor, "b m"],
        fed_mask: Bool[Tensor, "b m"],
        prompt: ReadPrompt | None = None,
    ) -> Read:
        """One pass over the prompt, unless it has been read, and an answer."""
        if prompt is not None:
            found = prompt.answer(fed_ids, fed_mask)
            if self.reads_logits:
                return Read(found.before, None, answer_logits=found.after)
            return Read(found.before, found.states)
        states = self.objective == "predgen" and not self.reads_logits
        if self.backbone.kind == "encoder-decoder":
            return self._read_pair(prompt_ids, prompt_mask, fed_ids, fed_mask, states)
        m = fed_ids.shape[1]
        ids, mask = (
            torch.cat([prompt_ids, fed_ids], 1),
            torch.cat([prompt_mask, fed_mask], 1),
        )
        known = inspect.signature(_inner(self.model).forward).parameters
        inputs: dict[str, Tensor | int | bool] = {
            "input_ids": ids,
            "attention_mask": mask.long(),
            "output_hidden_states": states,
        }
        if "use_cache" in known:
            inputs["use_cache"] = False
        if "position_ids" in known:
            inputs["position_ids"] = (mask.long().cumsum(1) - 1).clamp(min=0)
        if "logits_to_keep" in known and self.design.loss_on == "answer":
            # The vocabulary's matrix is half of the work; the prompt needs none of it.
            inputs["logits_to_keep"] = m + 1
        found = self.model(**inputs)
        last = found.hidden_states[-1][:, -m:] if states else None
        before = found.logits[:, : -m - 1] if self.design.loss_on == "all" else None
        after = found.logits[:, -m:] if self.reads_logits else None
        return Read(found.logits[:, -m - 1 : -1], last, before, after)

    def _read_pair(
        self,
        prompt_ids: Tensor,
        prompt_mask: Tensor,
        fed: Tensor,
        mask: Tensor,
        states: bool,
    ) -> Read:
        start = torch.full_like(fed[:, :1], decoder_start(self.backbone))
        found = self.model(
            input_ids=prompt_ids,
            attention_mask=prompt_mask.long(),
            decoder_input_ids=torch.cat([start, fed], 1),
            decoder_attention_mask=F.pad(mask.long(), (1, 0), value=1),
            output_hidden_states=states,
            use_cache=False,
        )
        last = found.decoder_hidden_states[-1][:, 1:] if states else None
        after = found.logits[:, 1:] if self.reads_logits else None
        return Read(found.logits[:, :-1], last, answer_logits=after)

    def _prompt_states(self, ids: Tensor, mask: Tensor) -> Tensor:
        base = self.backbone.base
        # An encoder-decoder is classified from what its encoder makes of the prompt.
        reader = base.get_encoder() if base.config.is_encoder_decoder else base
        inputs = {"input_ids": ids, "attention_mask": mask.long()}
        if "use_cache" in inspect.signature(reader.forward).parameters:
            inputs["use_cache"] = False  # type: ignore[assignment]
        return reader(**inputs).last_hidden_state

    def _adapted(self, read: Read, mask: Tensor) -> Tensor:
        assert self.head is not None
        return self.head(read.answer_logits if self.reads_logits else read.states, mask)

    def _directed(self, outputs: Tensor, labels: Tensor) -> Tensor:
        assert self.director is not None
        if self.design.kind == "scores":
            labels = (labels.float() - self.design.mean) / self.design.spread
        return self.director(outputs.float(), labels)


def check_objective(objective: str, kind: Kind) -> None:
    """Raise unless a model of this kind can follow the objective.

    Raises:
        InputError: as said.
    """
    check_known("objective", objective, OBJECTIVES)
    if kind == "encoder" and objective != "predictor":
        raise InputError(
            f"objective of an encoder must be 'predictor'; got '{objective}'. It reads "
            "both ways and was never trained to go on after a text, so it has no answer "
            "tokens of its own writing, whose states could be measured. Use a decoder or "
            "an encoder-decoder."
        )


def pad_token(backbone: Backbone) -> int:
    """The id at pads: the model's own, from which some derive positions."""
    for holder in (backbone.base.config.get_text_config(), backbone.tokenizer):
        token = getattr(holder, "pad_token_id", None)
        if token is not None and token >= 0:
            return int(token)
    return 0


def _inner(model: nn.Module) -> nn.Module:
    get = getattr(model, "get_base_model", None)
    return model if get is None else get()
