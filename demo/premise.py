"""From how much faster attention is to how much faster a whole model is, and back."""
import dataclasses


@dataclasses.dataclass
class Premise:
    """A promise about a whole model: `ratio` times faster, where attention is `share` of its time.

    Only attention is compiled, so the promise says how much faster attention itself is, and from that
    follows what a model with another share gains (Amdahl's law)."""
    share: float
    ratio: float

    def attention_ratio(self):
        return self.share / (1 / self.ratio - (1 - self.share))

    def limit(self, share):
        """The promised ratio; less than it only where attention takes less than the promise is about."""
        if share >= self.share:
            return self.ratio
        return 1 / (1 - share + share / self.attention_ratio())


def attention_ratio(plain, compiled, attention):
    """How many times faster attention itself is, from three times: what is not attention costs the same.

    None where the times are too far from one another for that: the machine was busy with something else."""
    left = compiled - (plain - attention)
    return attention / left if left > 0 else None
