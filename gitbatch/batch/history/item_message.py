"""Reading the message of an item's commit: the reply and the usage that it records."""

import re

from gitbatch.agents.protocol import Contribution, Reply, ReplyFlag
from gitbatch.agents.reply import SENTENCES
from gitbatch.batch.history.trailers import Trailers, parse_trailers
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import LIMIT, clean_text

COUNTS = ("input", "output", "cache_read", "cache_write", "requests")


def parse_item_message(message: str) -> tuple[Trailers, Reply]:
    """Returns the trailers and the reply that an item's commit records."""
    trailers = parse_trailers(message)
    body = message.rstrip("\n").rpartition("\n\n")[0].partition("\n\n")[2]
    contributions = (text.partition(": ")[::2] for text in trailers.values_of("Contribution"))
    return trailers, Reply(
        summary=clean_text(body, LIMIT * SENTENCES),
        decisions=tuple(map(clean_text, trailers.values_of("Decision"))),
        contributions=tuple(
            Contribution(clean_text(artifact), clean_text(text)) for artifact, text in contributions
        ),
        usage=_parse_usage(trailers),
        flags=tuple(flag for flag in ReplyFlag if flag in trailers.values_of("Flag")),
    )


def parse_spent(trailers: Trailers, attempts: int) -> Spent:
    """Returns the usage that the trailers of a commit record for a number of attempts."""
    usage = _parse_usage(trailers)
    if usage.cost is None:
        return Spent(usage, 0, attempts)
    said = re.fullmatch(r"[1-9][0-9]{0,5}", trailers.first_value("Cost-Unknown"))
    unknown = int(said[0]) if said else 0
    return Spent(usage, max(1, attempts - unknown), unknown)


def _parse_usage(trailers: Trailers) -> Usage:
    """Returns the usage that a commit records. Malformed values count as unknown: an agent can create commits too."""
    counts = dict(re.findall(r"(\w+)=([0-9]{1,15})(?![^ ])", trailers.first_value("Usage")))
    cost = re.fullmatch(r"[0-9]{1,9}\.[0-9]{6}", trailers.first_value("Cost"))
    return Usage(
        clean_text(trailers.first_value("Model")),
        **{name: int(counts.get(name, 0)) for name in COUNTS},
        cost=float(cost[0]) if cost else None,
    )
