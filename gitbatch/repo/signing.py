"""Signs commits as the user does: with gpg, ssh or x509, by `commit.gpgsign` and the settings that belong to it.

Our git processes run without the user's configuration. So the settings are read once, before, as the identity is, and
passed to the git process that signs. Every setting is passed, so that nothing that an agent writes into the repository's
own configuration counts; and signing programs are taken from the user's configuration alone, never from the repository's.

That process has no terminal: a key that has to be unlocked by typing is an error, not a prompt that is hidden by the live
view. A key that an agent (ssh-agent, gpg-agent) has unlocked works.
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
_USER_SCOPES = frozenset({"system", "global", "command"})
_SHOWN = 10


class SigningError(GitbatchError):
    """The user signs commits, and one of ours cannot be signed."""

    def __init__(self, answer: str, unused: tuple[str, ...] = ()) -> None:
        lines = [clean_text(line) for line in answer.strip().splitlines() if line.strip()]
        found = [line for line in lines if line.startswith(("error:", "fatal:"))]
        reason = next(iter(found or lines), "git gave no reason")
        names = " and ".join(setting.partition("=")[0] for setting in unused)
        why = f" ({names} of this repository's own configuration is not used)" if unused else ""
        yours = [f"set it in your own configuration: git config --global {_as_option(s)}" for s in unused]
        super().__init__(
            f"commit.gpgsign is set, and a commit cannot be signed: {reason}{why}",
            "\n".join((*yours, _ADVICE)),
            "\n".join(lines[-_SHOWN:]),
        )


_ADVICE = (
    "make the key usable without a prompt (ssh-add, gpg-agent) or fix user.signingkey, then resume: gitbatch run\n"
    "without signatures: git -c commit.gpgsign=false batch run"
)


def _as_option(setting: str) -> str:
    name, _, value = setting.partition("=")
    return f"{name} {shlex.quote(clean_text(value))}"


class UnansweredSigningError(SigningError):
    """The signing program does not answer."""

    def __init__(self, program: str, limit: float, unused: tuple[str, ...]) -> None:
        super().__init__(f"{program} did not answer within {limit:g} s", unused)
        self.details = ""
        self.advice += "\nif it needs longer: sign-timeout under [batch]; finished items are kept"


class Signer(Struct, frozen=True):
    """Signs commits by the user's settings."""

    settings: tuple[str, ...]
    """Settings for the git process that signs, each in the form of `-c`."""
    key: str
    """The key; empty: a program of the user's names it."""
    program: str
    """The signing program, or programs, as the user knows them."""
    unused: tuple[str, ...] = ()
    """Settings of the repository's own configuration that name a program, which is not run."""
    patience: Patience = Patience()

    def with_limit(self, limit: float, tell: Callable[[str], None]) -> "Signer":
        """Returns the same signer with another limit in seconds; `tell` is called with a notice during the wait."""
        text = (
            f"waiting for {self.program} to sign a commit, at most {limit:g} s: "
            "does the key have to be touched or unlocked?"
        )
        return replace(self, patience=replace(self.patience, limit=limit, tell=lambda: tell(text)))

    def write_commit(
        self, git: Git, tree: str, parents: tuple[str, ...], message: str, who: Mapping[str, str]
    ) -> str:
        """Stores a signed commit and returns its id. `who`: the variables that set author and committer.

        Raises:
            SigningError: it cannot be signed.
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

    def require_usable(self, git: Git) -> None:
        """Signs a test commit, before anything is paid for.

        Raises:
            SigningError: it cannot be signed.
        """
        ident = Ident("gitbatch", "agent@gitbatch.invalid", 0)
        empty = git.run("hash-object", "-t", "tree", "--stdin", input=b"").stdout.decode().strip()
        with tempfile.TemporaryDirectory(prefix="gitbatch-") as folder:  # the empty tree is built into git
            elsewhere = git.in_directory(git.directory, GIT_OBJECT_DIRECTORY=folder)
            who = ident.variables("AUTHOR") | ident.variables("COMMITTER")
            self.write_commit(elsewhere, empty, (), "Test of signing\n", who)


def find_signer(settings: tuple[Setting, ...], identity: str) -> Signer | None:
    """Returns the signer of the user's settings; None: they do not sign. `identity`: by which gpg finds a key if none is set."""
    found = _by_key(settings)
    if not is_true(found.get("commit.gpgsign", "false")):
        return None
    kind = found.get("gpg.format", "openpgp").lower()
    key = found.get("user.signingkey") or (identity if kind != "ssh" else "")
    program = found.get(f"gpg.{kind}.program", _PROGRAMS.get(kind, ""))
    name = "gpg.program" if kind == "openpgp" else f"gpg.{kind}.program"
    chosen = [f"gpg.format={kind}", f"{name}={program}", "i18n.commitEncoding=UTF-8"]
    asked = found.get("gpg.ssh.defaultkeycommand", "")
    if kind == "ssh":
        chosen.append(f"gpg.ssh.defaultKeyCommand={asked}")
    if (
        kind == "ssh" and not key and asked
    ):  # git runs it first, and does not report which of the two it waits for
        program = f"{asked} (gpg.ssh.defaultKeyCommand) or {program}"
    unused = tuple(
        f"{setting.key}={setting.value}"
        for setting in settings
        if _names_a_program(setting)
        and setting.scope not in _USER_SCOPES
        and setting.key in _program_settings(kind)
    )
    return Signer(tuple(chosen), key, program, unused)


def _program_settings(kind: str) -> frozenset[str]:
    """Returns the settings that can name a program for a kind of signature."""
    usual = {"gpg.program"} if kind == "openpgp" else set()
    return frozenset({f"gpg.{kind}.program", f"gpg.{kind}.defaultkeycommand"} | usual)


def _names_a_program(setting: Setting) -> bool:
    return setting.key.endswith(("program", "command"))


def _by_key(settings: tuple[Setting, ...]) -> dict[str, str]:
    """Returns the last value of each setting; of a program, the last one of the user's own configuration."""
    found: dict[str, str] = {}
    for setting in settings:
        if _names_a_program(setting) and setting.scope not in _USER_SCOPES:
            continue
        found["gpg.openpgp.program" if setting.key == "gpg.program" else setting.key] = setting.value
    return found
