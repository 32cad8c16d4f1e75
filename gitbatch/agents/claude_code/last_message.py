"""The last message of Claude Code: a summary, and after it a line of JSON with contributions, if there are any (rule O4).

It has no other way to return them: the only file that it may write is its output.
"""

import re

from gitbatch.agents.protocol import Reply
from gitbatch.agents.reply import make_reply, parse_reply
from gitbatch.limits.usage import Usage

INSTRUCTION = (
    "To contribute to a shared artifact, end your last message, after the summary, with one line of JSON: "
    '{"contributions": [{"artifact": "NAME", "text": "one line"}]}'
)
"""For the system prompt, where the phase has shared artifacts."""
_JSON_END = re.compile(
    r"(?P<summary>.*?)(?:^|\n)\s*(?:```(?:json)?\s*\n)?\s*(?P<json>\{\s*\"(?:contributions|decisions|summary)\".*\})\s*(?:\n```)?\s*",
    re.DOTALL,
)


def read_last_message(text: str, usage: Usage) -> Reply:
    """Returns the reply of a last message; its end is a part of the summary if it is not valid JSON."""
    found = _JSON_END.fullmatch(text)
    returned = parse_reply(found["json"].encode(errors="replace")) if found else None
    if found is None or not isinstance(returned, Reply):
        return make_reply(text, usage=usage)
    contributions = tuple((each.artifact, each.text) for each in returned.contributions)
    return make_reply(found["summary"].strip() or returned.summary, returned.decisions, contributions, usage)
