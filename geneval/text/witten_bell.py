"""An n-gram model of sequences of tokens, interpolated after Witten and Bell (1991).

After a context h that was seen N times with T different tokens after it,

    P(w | h) = (count(h w) + T · P(w | shorter h)) / (N + T)

Below single tokens all of the mass is that of a token never seen.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from geneval.text.ngrams import Gram

BEGIN, END = "\0begin", "\0end"  # no tokens of any text


class WittenBell:
    """A model of sequences of tokens, fitted on some of them.

    `spell` is the log-probability of a token that is in none of them, given that it is such.
    """

    def __init__(
        self, texts: Iterable[Sequence[str]], order: int, spell: Callable[[str], float]
    ) -> None:
        self._order, self._spell = order, spell
        self._after = defaultdict[Gram, Counter[str]](Counter)
        for text in texts:
            padded = self._padded(text)
            for at in range(order - 1, len(padded)):
                for length in range(order):
                    self._after[padded[at - length : at]][padded[at]] += 1
        self._seen = {context: after.total() for context, after in self._after.items()}

    def _padded(self, text: Sequence[str]) -> Gram:
        return (*[BEGIN] * (self._order - 1), *text, END)

    @property
    def vocabulary(self) -> list[str]:
        """The tokens that were seen, with the end."""
        return list(self._after[()])

    def probability(self, token: str, context: Gram) -> float:
        """P of a token after a context; of any unknown token, that there is an unknown one."""
        found = 0.0 if token in self._after[()] else 1.0
        for length in range(min(self._order - 1, len(context)) + 1):
            here = context[len(context) - length :]
            if here not in self._seen:
                break  # nor was any longer one seen
            after, seen = self._after[here], self._seen[here]
            found = (after[token] + len(after) * found) / (seen + len(after))
        return found

    def log_probability(self, text: Sequence[str]) -> float:
        """Log-probability of a text and its end, in nats."""
        padded, total = self._padded(text), 0.0
        for at in range(self._order - 1, len(padded)):
            token = padded[at]
            total += math.log(self.probability(token, padded[at - self._order + 1 : at]))
            total += 0.0 if token in self._after[()] else self._spell(token)
        return total
