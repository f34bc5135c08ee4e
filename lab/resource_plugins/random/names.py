"""`RandomPet`: names that people can say. Its word lists are short; it is no source of secrets."""

import secrets

from lab.resource_plugins.base import Call, Input, Properties, Resource

_ADVERBS = ("boldly", "calmly", "deeply", "fairly", "gently", "kindly", "neatly", "openly", "quietly", "rarely")
_ADJECTIVES = ("able", "brave", "clear", "eager", "fair", "happy", "ideal", "keen", "noble", "proud", "quick", "ready")
_ANIMALS = ("ant", "bear", "crane", "deer", "eagle", "fox", "heron", "ibis", "lynx", "otter", "puma", "raven", "seal")


def create(_call: Call, inputs: Properties) -> tuple[str, Properties]:
    """Join `length` words (an animal last, before it adjectives and adverbs) and the prefix; that is the id."""
    length = inputs["length"]
    lists = [_ADVERBS] * (length - 2) + [_ADJECTIVES] * (length > 1) + [_ANIMALS]
    words = [secrets.choice(words) for words in lists]
    prefix = [inputs["prefix"]] if inputs.get("prefix") else []
    return inputs["separator"].join(prefix + words), {}


PET = Resource(
    "random:index/randomPet:RandomPet",
    {"length": Input(default=2), "separator": Input(default="-"), "prefix": Input(), "keepers": Input()},
    create=create,
)
