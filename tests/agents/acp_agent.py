"""A program that speaks ACP as its item says: `play: STREAM`, a recorded one, or `act: WORD`, a hostile one.

It needs nothing but Python. An edit that it is allowed to make, it makes; of one that is denied, it makes a file too if
the word is `disobey`. Recorded streams are in the folder `streams` beside it.
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

OUT = sys.stdout


def say(message: dict[str, Any] | str) -> None:
    OUT.write((message if isinstance(message, str) else json.dumps(message)) + "\n")
    OUT.flush()


def hear() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    message: dict[str, Any] = json.loads(line)
    return message


def hear_until(method: str) -> dict[str, Any]:
    """Answers what is asked for before a method as an agent that has a mode; returns the request of the method."""
    while True:
        asked = hear()
        if asked.get("method") == method:
            return asked
        results = {
            "initialize": {"protocolVersion": 1},
            "session/new": {
                "sessionId": "s",
                "modes": {"currentModeId": "auto", "availableModes": [{"id": "default"}, {"id": "auto"}]},
            },
        }
        if asked.get("method") == "session/set_mode":
            update("current_mode_update", currentModeId=asked["params"]["modeId"])
        if "id" in asked:
            say({"jsonrpc": "2.0", "id": asked["id"], "result": results.get(asked["method"], {})})


def update(name: str, **more: Any) -> None:  # noqa: ANN401 - fields of a notification
    params = {"sessionId": "s", "update": {"sessionUpdate": name, **more}}
    say({"jsonrpc": "2.0", "method": "session/update", "params": params})


def ask(number: int, path: str, kind: str = "edit", options: tuple[str, ...] = ()) -> str:
    """Asks for permission, and returns the kind of the option that is chosen."""
    kinds = options or ("allow_always", "allow_once", "reject_once")
    call = {"toolCallId": f"c{number}", "kind": kind, "locations": [{"path": path}], "title": "T"}
    params = {"sessionId": "s", "toolCall": call, "options": [{"optionId": k, "kind": k} for k in kinds]}
    say({"jsonrpc": "2.0", "id": number, "method": "session/request_permission", "params": params})
    outcome = hear()["result"]["outcome"]
    return str(outcome.get("optionId", outcome["outcome"]))


def write(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text("# Page\n", encoding="utf-8")


def play(stream: list[dict[str, Any]], prompt: dict[str, Any], output: str) -> None:
    """Plays what was recorded after the answer before that to the prompt, for an output of another name."""
    before = {"id": prompt["id"] - 1}
    start = max(
        at
        for at, message in enumerate(stream)
        if "method" not in message and before.items() <= message.items()
    )
    for message in stream[start + 1 :]:
        line = json.dumps(message).replace("{cwd}", str(Path.cwd())).replace("docs/p1.md", output)
        say(line)
        if "method" in message and "id" in message:
            outcome = hear()["result"]["outcome"]
            if outcome.get("optionId", "").startswith("allow"):
                write(json.loads(line)["params"]["toolCall"]["rawInput"]["file_path"])


def disobey(output: str) -> None:
    answers = [ask(1, "task.md"), ask(2, output, "execute"), ask(3, output, options=("allow_always",))]
    answers += [ask(4, output), ask(5, f"docs/../{output}")]
    write(output)
    Path(output).write_text("\n".join(answers) + "\n", encoding="utf-8")
    write("other.md")


def flood(output: str) -> None:
    for number in range(20_000):
        update("agent_thought_chunk" if number % 2 else "brand_new", content={"text": "x" * 50})
    write(output)


def print_long_line(output: str) -> None:
    say('{"jsonrpc": "2.0", "method": "session/update", "params": {"x": "' + "y" * 20_000_000 + '"}}')
    write(output)


def spend(_output: str) -> None:
    for cent in range(1, 1000):
        update("usage_update", used=1, size=2, cost={"amount": cent / 100, "currency": "USD"})
    hear_until("session/cancel")


def stop(output: str) -> None:
    write(output)
    sys.exit("half a turn")


def hang(_output: str) -> None:
    update("usage_update", used=1, size=2, cost={"amount": 0.5, "currency": "USD"})
    Path(os.environ["HOME"], "hangs").touch()
    time.sleep(600)


ACTS = {
    "disobey": disobey,
    "flood": flood,
    "long-line": print_long_line,
    "spend": spend,
    "stop": stop,
    "hang": hang,
}
"""What no agent should do."""


def main() -> None:
    prompt = hear_until("session/prompt")
    text = prompt["params"]["prompt"][0]["text"]
    found = re.search(r"(play|act): ([a-z0-9-]+)", text)
    output = re.search(r"^- Write one file: (.*?)\. It is", text, re.MULTILINE)
    assert found and output  # noqa: PT018 - not a test
    if found[1] == "act":
        ACTS[found[2]](output[1])
        update("agent_message_chunk", content={"type": "text", "text": "Wrote the page. It has one heading."})
        say({"jsonrpc": "2.0", "id": prompt["id"], "result": {"stopReason": "end_turn"}})
    else:
        lines = (Path(__file__).parent / "streams" / f"{found[2]}.jsonl").read_text(encoding="utf-8")
        play(list(map(json.loads, lines.splitlines())), prompt, output[1])
    while True:
        hear()


if __name__ == "__main__":
    if os.environ.get("SILENT"):
        time.sleep(600)
    main()
