"""What the demo asks the small host for, and what becomes of each; its README has the words."""

from dataclasses import dataclass
from typing import Any

IMAGE = "https://example.com/boat.png"


@dataclass(frozen=True)
class Fate:
    """One request, told in words, and the status that it ends with.

    A request that makes no generation says why: `repeats` the one before it, or HTTP `refused`.
    """

    story: str
    body: dict[str, Any]
    ends: str = "completed"
    refused: int = 0
    repeats: bool = False


def _video(prompt: str, image: str = "", provider: str = "pixverse", model: str = "v5") -> dict:
    operation = "image_to_video" if image else "text_to_video"
    config = {"generationType": operation, "prompt": prompt, "style": {provider: {"model": model}}}
    if image:
        config["image_url"] = image
    return {"provider_id": provider, "config": config}


def _image(prompt: str) -> dict[str, Any]:
    config = {"generationType": "image_to_image", "prompt": prompt, "image_url": IMAGE}
    return {"provider_id": "remaker", "config": config}


SHOWN = "an account at its limit: another one took it"
FATES = (
    Fate("nothing in the way", _video("a lighthouse in the rain")),
    Fate(
        "the same again: answered with the first, by its hash",
        _video("a lighthouse in the rain"),
        repeats=True,
    ),
    Fate("an image to start from", _video("a boat leaves the harbour", IMAGE)),
    Fate("the provider took its time to accept it", _video("snow on a pier SLOWSUBMIT", IMAGE)),
    Fate("the provider took its time to render it", _video("a storm at night SLOWRENDER")),
    Fate("the provider refused the prompt", _video("a forbidden thing BADPROMPT"), "failed"),
    Fate("rendered and withheld, and so again", _video("a crowded beach FILTER"), "failed"),
    Fate("the provider answered HTTP 502, twice", _video("a bridge in fog BOOM"), "failed"),
    Fate(SHOWN, _video("a ferry at dawn CONC1", IMAGE)),
    Fate(
        "an account with a dead session: another one took it",
        _video("gulls over a trawler SESSION1", model="v4.5"),
    ),
    Fate("another provider", _video("a quay in the evening", provider="sora", model="turbo")),
    Fate("a third provider, an image", _image("the same boat in winter")),
    Fate(
        "nobody offers that: refused by the API",
        _video("a buoy", provider="remaker", model=""),
        refused=400,
    ),
)
