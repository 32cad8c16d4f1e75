"""Signing commits as the user signs theirs: with gpg, ssh or x509, by `commit.gpgsign` and what belongs to it.

Our git runs without the user's configuration, so the settings are read once, before, as the identity is, and given to
the git that signs. Every setting is given, so that nothing which an agent writes into the repository's own configuration
can take part; and the programs that sign are taken from the user's configuration alone, never from the repository's.

The signing git has no terminal: a key that would have to be unlocked by typing is an error, not a prompt that nobody
sees behind the live view. A key that an agent (ssh-agent, gpg-agent) has unlocked works.
"""

import os
from collections.abc import Mapping

from msgspec import Struct

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.process import Git
from gitbatch.repo.settings import Setting, is_true
from gitbatch.text import plain

_PROGRAMS = {"openpgp": "gpg", "x509": "gpgsm", "ssh": "ssh-keygen"}
_THEIRS = frozenset({"system", "global", "command"})
_SHOWN = 10


class SigningError(GitbatchError):
    """The user signs their commits, and ours can't be signed."""

    def __init__(self, said: str) -> None:
        lines = [plain(line) for line in said.strip().splitlines() if line.strip()]
        found = [line for line in lines if line.startswith(("error:", "fatal:"))]
        reason = next(iter(found or lines), "git does not say why")
        super().__init__(
            f"commit.gpgsign is set, and a commit can't be signed: {reason}",
            "make the key usable without a prompt (ssh-add, gpg-agent) or mend user.signingkey; gitbatch run goes on\n"
            "without signatures: git -c commit.gpgsign=false batch run",
            "\n".join(lines[-_SHOWN:]),
        )


class Signer(Struct, frozen=True):
    """How the user signs."""

    settings: tuple[str, ...]
    """Settings for the git that signs, each as `-c` wants it."""
    key: str
    """The key; empty: what a program of the user's names."""

    def write_commit(
        self, git: Git, tree: str, parents: tuple[str, ...], message: str, who: Mapping[str, str]
    ) -> str:
        """Store a signed commit. `who`: the variables that say who and when.

        Raises:
            SigningError: it can't be signed.
        """
        options = (part for setting in self.settings for part in ("-c", setting))
        above = (part for parent in parents for part in ("-p", parent))
        asking = {"SSH_ASKPASS_REQUIRE": os.environ.get("SSH_ASKPASS_REQUIRE", "never")}
        try:
            done = git.at(git.directory, **who, **asking).feed_alone(
                message.encode(), *options, "commit-tree", tree, *above, f"-S{self.key}"
            )
        except GitError as error:
            raise SigningError(error.stderr) from error
        return done.stdout.decode().strip()


def find_signer(settings: tuple[Setting, ...], identity: str) -> Signer | None:
    """How the user signs, by their settings; None if they don't. `identity`: by which gpg finds a key if none is named."""
    found = _by_key(settings)
    if not is_true(found.get("commit.gpgsign", "false")):
        return None
    kind = found.get("gpg.format", "openpgp").lower()
    key = found.get("user.signingkey") or (identity if kind != "ssh" else "")
    program = found.get(f"gpg.{kind}.program", _PROGRAMS.get(kind, ""))
    name = "gpg.program" if kind == "openpgp" else f"gpg.{kind}.program"
    chosen = [f"gpg.format={kind}", f"{name}={program}", "i18n.commitEncoding=UTF-8"]
    if kind == "ssh":
        chosen.append(f"gpg.ssh.defaultKeyCommand={found.get('gpg.ssh.defaultkeycommand', '')}")
    return Signer(tuple(chosen), key)


def _by_key(settings: tuple[Setting, ...]) -> dict[str, str]:
    """The last value of each setting; of a program, the last that the user's own configuration has."""
    found: dict[str, str] = {}
    for setting in settings:
        if setting.key.endswith(("program", "command")) and setting.scope not in _THEIRS:
            continue
        found["gpg.openpgp.program" if setting.key == "gpg.program" else setting.key] = setting.value
    return found
