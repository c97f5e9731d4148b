"""What the test of a graph on the labels found. No JAX here: a run's page shows it."""

from typing import NamedTuple

from sgan_jax.config import PropagationConfig

UNTESTED = "untested"  # used as trusted ones are: the configuration asks for no test, or labels are too few
TRUSTED = "trusted"
CALIBRATED = "calibrated"
UNUSED = "unused"
VERDICTS = (UNTESTED, TRUSTED, CALIBRATED, UNUSED)


class Trust(NamedTuple):
    """What the test found, and what follows from it."""

    verdict: str  # one of VERDICTS
    tested: int = 0  # labelled images that were left out
    right: int = 0  # of these, those whose class was predicted
    kappa: float = 0.0  # Cohen's: accuracy beyond chance, at most 1
    certainty: float = 0.0  # of the propagated labels, as `PropagationConfig.certainty`; 0 where they are not used

    def described(self, config: PropagationConfig) -> str:
        """A line about it, by the numbers of the configuration."""
        if self.verdict == UNTESTED:
            why = "two classes with two labels each would be needed" if config.trusted else "the configuration asks so"
            return f"propagated labels are used without a test on labels: {why}"
        follows = {
            TRUSTED: f"trusted from {config.trusted:g}: propagated labels are used",
            CALIBRATED: f"trusted from {config.trusted:g}: propagated labels are used with certainty "
            f"{self.certainty:.2g} in the place of {config.certainty:g}",
            UNUSED: f"useful from {config.useful:g}: propagated labels are not used; a teacher alone predicts the "
            "classes of unlabelled images",
        }
        return (
            f"of {self.tested:,} labelled images {self.right:,} get their class from the others along the graph; "
            f"beyond chance {self.kappa:.2f}, {follows[self.verdict]}"
        )
