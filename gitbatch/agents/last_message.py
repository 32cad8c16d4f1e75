"""The last message of a model: a summary, and after it a line of JSON with contributions, if there are any (rule O4).

For the kinds that have no other way to return them: the only file that they may write is their output.
"""

from gitbatch.agents.json_text import parse_json
from gitbatch.agents.protocol import Reply
from gitbatch.agents.reply import make_reply, parse_reply
from gitbatch.limits.usage import Usage

INSTRUCTION = (
    "To contribute to a shared artifact, end your last message, after the summary, with one line of JSON: "
    '{"contributions": [{"artifact": "NAME", "text": "one line"}]}'
)
"""For the system prompt, where the phase has shared artifacts."""
_KEYS = frozenset({"contributions", "decisions", "summary"})
_FENCE = "```"


def read_last_message(text: str, usage: Usage) -> Reply:
    """Returns the reply of a last message; its end is a part of the summary if it is not JSON of this form."""
    said = text.strip()
    summary, written = _split_message(said)
    found = parse_json(written)
    is_ours = isinstance(found, dict) and bool(found) and found.keys() <= _KEYS
    returned = parse_reply(written.encode(errors="replace")) if is_ours else None
    if not isinstance(returned, Reply):
        return make_reply(said, usage=usage)
    contributions = tuple((each.artifact, each.text) for each in returned.contributions)
    return make_reply(summary or returned.summary, returned.decisions, contributions, usage)


def _split_message(text: str) -> tuple[str, str]:
    """Returns what comes before the JSON at the end of a text, and that; a fence around it is left out."""
    if text.endswith(_FENCE):
        before, _, fenced = text.removesuffix(_FENCE).rpartition(_FENCE)
        return before.strip(), fenced.removeprefix("json").strip()
    before, _, last = f"\n{text}".rpartition("\n{")
    return before.strip(), f"{{{last}"
