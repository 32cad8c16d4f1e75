"""Signing commits as the user signs theirs: with gpg, ssh or x509, by `commit.gpgsign` and what belongs to it.

Our git runs without the user's configuration, so the settings are read once, before, as the identity is, and given to
the git that signs. Every setting is given, so that nothing which an agent writes into the repository's own configuration
can take part; and the programs that sign are taken from the user's configuration alone, never from the repository's.

The signing git has no terminal: a key that would have to be unlocked by typing is an error, not a prompt that nobody
sees behind the live view. A key that an agent (ssh-agent, gpg-agent) has unlocked works.
"""

import os
import shlex
import tempfile
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.patience import Patience, UnansweredError
from gitbatch.repo.process import Git
from gitbatch.repo.settings import Setting, is_true
from gitbatch.text import clean_text

_PROGRAMS = {"openpgp": "gpg", "x509": "gpgsm", "ssh": "ssh-keygen"}
_THEIRS = frozenset({"system", "global", "command"})
_SHOWN = 10


class SigningError(GitbatchError):
    """The user signs their commits, and ours can't be signed."""

    def __init__(self, said: str, unused: tuple[str, ...] = ()) -> None:
        lines = [clean_text(line) for line in said.strip().splitlines() if line.strip()]
        found = [line for line in lines if line.startswith(("error:", "fatal:"))]
        reason = next(iter(found or lines), "git does not say why")
        names = " and ".join(setting.partition("=")[0] for setting in unused)
        why = f" ({names} of this repository's own configuration is not used)" if unused else ""
        yours = [f"set it in your own configuration: git config --global {_as_option(s)}" for s in unused]
        super().__init__(
            f"commit.gpgsign is set, and a commit can't be signed: {reason}{why}",
            "\n".join((*yours, _ADVICE)),
            "\n".join(lines[-_SHOWN:]),
        )


_ADVICE = (
    "make the key usable without a prompt (ssh-add, gpg-agent) or mend user.signingkey; gitbatch run goes on\n"
    "without signatures: git -c commit.gpgsign=false batch run"
)


def _as_option(setting: str) -> str:
    name, _, value = setting.partition("=")
    return f"{name} {shlex.quote(clean_text(value))}"


class UnansweredSigningError(SigningError):
    """The program that signs does not answer."""

    def __init__(self, program: str, limit: float, unused: tuple[str, ...]) -> None:
        super().__init__(f"{program} did not answer within {limit:g} s", unused)
        self.details = ""
        self.advice += "\nif it needs longer: sign-timeout under [batch]; finished items are kept"


class Signer(Struct, frozen=True):
    """How the user signs."""

    settings: tuple[str, ...]
    """Settings for the git that signs, each as `-c` wants it."""
    key: str
    """The key; empty: what a program of the user's names."""
    program: str
    """The program that signs."""
    unused: tuple[str, ...] = ()
    """Settings of the repository's own that name a program, which is not run."""
    patience: Patience = Patience()

    def waiting(self, limit: float, tell: Callable[[str], None]) -> "Signer":
        """The same signer with another limit in seconds; `tell` is told what is waited for."""
        text = (
            f"waiting for {self.program} to sign a commit, at most {limit:g} s: "
            "does the key have to be touched or unlocked?"
        )
        return replace(self, patience=replace(self.patience, limit=limit, tell=lambda: tell(text)))

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
        command = (*options, "commit-tree", tree, *above, f"-S{self.key}")
        try:
            done = git.in_directory(git.directory, **who, **asking).run_in_session(
                message.encode(), *command, patience=self.patience
            )
        except UnansweredError as error:
            raise UnansweredSigningError(self.program, self.patience.limit, self.unused) from error
        except GitError as error:
            raise SigningError(error.stderr, self.unused) from error
        return done.stdout.decode().strip()

    def require(self, git: Git) -> None:
        """Sign something to see that it works: before anything is paid for.

        Raises:
            SigningError: it does not.
        """
        nobody = Ident("gitbatch", "agent@gitbatch.invalid", 0)
        empty = git.run("hash-object", "-t", "tree", "--stdin", input=b"").stdout.decode().strip()
        with tempfile.TemporaryDirectory(prefix="gitbatch-") as folder:  # git knows the empty tree by heart
            elsewhere = git.in_directory(git.directory, GIT_OBJECT_DIRECTORY=folder)
            who = nobody.variables("AUTHOR") | nobody.variables("COMMITTER")
            self.write_commit(elsewhere, empty, (), "Can we sign?\n", who)


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
    unused = tuple(
        f"{setting.key}={setting.value}"
        for setting in settings
        if _names_a_program(setting) and setting.scope not in _THEIRS and setting.key in _concerned(kind)
    )
    return Signer(tuple(chosen), key, program, unused)


def _concerned(kind: str) -> frozenset[str]:
    """The settings that can name a program for a kind of signature."""
    usual = {"gpg.program"} if kind == "openpgp" else set()
    return frozenset({f"gpg.{kind}.program", f"gpg.{kind}.defaultkeycommand"} | usual)


def _names_a_program(setting: Setting) -> bool:
    return setting.key.endswith(("program", "command"))


def _by_key(settings: tuple[Setting, ...]) -> dict[str, str]:
    """The last value of each setting; of a program, the last that the user's own configuration has."""
    found: dict[str, str] = {}
    for setting in settings:
        if _names_a_program(setting) and setting.scope not in _THEIRS:
            continue
        found["gpg.openpgp.program" if setting.key == "gpg.program" else setting.key] = setting.value
    return found
