"""Merging tokens of a reference that are alike: pure tensor math.

Method: arXiv 2303.17604 (Token Merging for Fast Stable Diffusion), with the matching and the
proportional attention of arXiv 2210.09461: every other token is a destination, each of the rest
finds the destination that is most like it, and those most alike become one with theirs, their mean.
To a query that mean counts as often as there are tokens in it: the log of its size is added to its
logit.

There a network's own tokens are merged and parted again; here only what others attend to is, so
there is nothing to part.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

MOST = 0.5
"""The largest share of tokens that can be merged away: all that are no destinations."""


def merge_alike(
    hidden: Float[Tensor, "1 tokens channels"], share: float
) -> tuple[Float[Tensor, "1 fewer channels"], Float[Tensor, " fewer"]]:
    """Merge a share of the tokens into others that are like them.

    Args:
        share: in [0, `MOST`]: how many of all tokens there are less afterwards.

    Returns:
        The tokens that are left, and of how many each is the mean.
    """
    stay, go = hidden[0, ::2], hidden[0, 1::2]
    count = min(int(hidden.shape[1] * share), len(go))
    alike, into = (normalize(go, dim=-1) @ normalize(stay, dim=-1).T).max(dim=1)
    order = alike.argsort(descending=True, stable=True)
    gone, left = order[:count], order[count:].sort().values
    # A product of matrices, not `index_add`, whose sums have no certain order on a GPU.
    joins = torch.zeros(len(stay), count, device=hidden.device, dtype=hidden.dtype)
    joins.scatter_(0, into[gone][None], 1.0)
    sizes = 1 + joins.sum(dim=1)
    means = (stay + joins @ go[gone]) / sizes[:, None]
    return torch.cat([means, go[left]])[None], torch.cat([sizes, sizes.new_ones(len(left))])
