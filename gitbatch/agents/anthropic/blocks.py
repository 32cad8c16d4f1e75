"""The messages of ours in a conversation: hints for the model, and results of tools, as blocks of the API."""

from typing import Any

from gitbatch.agents.anthropic.tools import ToolResult

CALL_FINISH = (
    "You have not called finish. Continue if the work is not complete; call finish when your file is written."
)
CALL_GIVE_VERDICT = (
    "You have not given your verdict. Continue if you have to read more; then call give_verdict, once."
)
CUT = "Your answer was cut at the limit of its length. Continue from there, in smaller pieces."
TOO_LONG = (
    "Your answer was refused: it was far larger than an answer may be. Write your file in smaller pieces."
)
NOT_RUN = "not done: the answer was cut in the middle of it. Do it again, in smaller pieces"
NOT_AN_OBJECT = "not done: the arguments are not a JSON object. Do it again, with valid arguments"
NOT_FINISHED = "not finished: another call of the same answer failed. Fix that, then call finish again"


def text_block(text: str) -> dict[str, Any]:
    """Returns a text as a block."""
    return {"type": "text", "text": text}


def tool_result(call: dict[str, Any], answer: ToolResult) -> dict[str, Any]:
    """Returns the result of a tool call as a block."""
    text = answer.text.encode(errors="replace").decode()
    return {
        "type": "tool_result",
        "tool_use_id": call["id"],
        "content": text or "(nothing)",
        "is_error": answer.is_error,
    }
