"""From what a library suggests to an action of the space."""

from collections.abc import Mapping

from fabricbo.proposers.baselines import random_generator
from fabricbo.protocols import History
from fabricbo.records import Action


def suggested_action(
    values: Mapping[str, float], chosen: Mapping[str, str], history: History
) -> Action:
    """Return the action that is meant, windows turned round and caps applied.

    Above a cap it is drawn which references keep their role, so that none is favoured for its
    place in the pool.

    Args:
        values: by the name of the parameter; those that do not vary are left out.
        chosen: names of `ActionSpace.role_choices` by the reference's identity; not looked at where
            roles do not vary.
    """
    space, pool = history.space, history.pool
    scalars = {name: values[name] for name in space.parameters}
    if not space.roles:
        return space.action(scalars, {r.id: r.hand_role for r in pool}, pool)
    drawn = [pool[i].id for i in random_generator(history).permutation(len(pool))]
    choices = {key: space.role_choices[chosen[key]] for key in drawn}
    roles = {key: role for key, (role, _) in choices.items()}
    strengths = {key: strength for key, (_, strength) in choices.items()}
    return space.action(scalars, roles, pool, strengths)
