"""Pictures as the template gets them: a CSS class, and words for those who do not see it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fabricbo.records import Action, Reference, strength_text
from fabricbo.report.embed import EmbeddedImages


@dataclass(frozen=True)
class Picture:
    """An image of the page, with the words for those who do not see it."""

    css: str
    text: str
    factor: str = ""
    """Of a reference whose strength is not 1: that, such as `x2`."""


@dataclass(frozen=True)
class PictureGroup:
    """Images that were drawn for one prompt."""

    caption: str | None
    """The prompt; None where the study has only one."""
    pictures: Sequence[Picture]


def drawn_pictures(
    identities: Sequence[str], of: str, prompts: Sequence[str], embedded: EmbeddedImages
) -> list[PictureGroup]:
    """Return stored images, which come prompt after prompt, grouped by prompt.

    Args:
        of: what they are images of, for those who do not see them.
    """
    if len(prompts) == 1 or not identities or len(identities) % len(prompts):
        return [PictureGroup(None, _numbered(identities, of, embedded))] if identities else []
    length = len(identities) // len(prompts)
    return [
        PictureGroup(
            prompt,
            _numbered(identities[i * length : (i + 1) * length], f"{of}, {prompt}", embedded),
        )
        for i, prompt in enumerate(prompts)
    ]


def reference_pictures(references: Sequence[Reference], embedded: EmbeddedImages) -> list[Picture]:
    """Return references under their names."""
    return [Picture(embedded.add(r.id, r.image), r.name) for r in references]


def liked_and_disliked(
    action: Action, embedded: EmbeddedImages
) -> tuple[list[Picture], list[Picture]]:
    """Return the references of an action, with strengths other than 1."""
    liked, disliked = (
        [_with_factor(action, reference, embedded) for reference in references]
        for references in (action.liked, action.disliked)
    )
    return liked, disliked


def _with_factor(action: Action, reference: Reference, embedded: EmbeddedImages) -> Picture:
    (picture,) = reference_pictures([reference], embedded)
    factor = strength_text(action.strength(reference))
    return replace(picture, text=f"{picture.text} {factor}".rstrip(), factor=factor)


def _numbered(identities: Sequence[str], of: str, embedded: EmbeddedImages) -> list[Picture]:
    return [
        Picture(embedded.name(identity), f"image {number} of {of}")
        for number, identity in enumerate(identities, 1)
    ]
