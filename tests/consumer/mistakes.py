"""Each of these is wrong, and a type checker says so."""

from fabricbo import FabricParams, Proposer, Study, create_study, objective

FabricParams(feedback_strat=0.1)  # E: call-arg
FabricParams("a lot")  # E: arg-type
create_study({}, device=3)  # E: arg-type
objective(direction="upwards")  # E: arg-type


class Wrong:
    """Is no proposer."""

    def propose(self, history: int, /) -> str:
        """Return no proposal."""
        return str(history)


PROPOSER: Proposer = Wrong()  # E: assignment


def best(study: Study) -> float:
    """Return what may be None."""
    return study.best().score.mean  # E: union-attr
