"""A git repository as `record` needs it: commit some files of a folder and nothing else, and tag the commit.

Done by the git of this machine, so a person's identity, hooks and signatures hold as for every other commit.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NoReturn

from runcontract.faults import ConfigurationFault, Fault

_NOT_OURS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
"""What a git that calls us sets for itself; the repository that was named is meant."""


class Repository:
    """The work tree that a path lies in."""

    def __init__(self, path: Path) -> None:
        self._environment = {
            name: value for name, value in os.environ.items() if name not in _NOT_OURS
        } | {"LC_ALL": "C"}
        self.root = path
        found = self._run("rev-parse", "--show-toplevel", expects="a git repository with files")
        self.root = Path(found.strip())

    def head(self) -> str:
        """The commit that is checked out; nothing where there is none yet."""
        return self._find("rev-parse", "--verify", "--quiet", "HEAD^{commit}")

    def holds(self, commit: str, folder: str) -> str:
        """What `commit` holds in `folder`, as the name of a tree; nothing where it has no such folder."""
        return (
            self._find("rev-parse", "--verify", "--quiet", f"{commit}:{folder}") if commit else ""
        )

    def tagged(self, tag: str) -> str:
        """The commit that `tag` names; nothing where there is none. Raises `ConfigurationFault` for what is no name."""
        name = f"refs/tags/{tag}"
        if self._exit_code("check-ref-format", name) != 0:
            self._refuse(f"the tag {tag!r}", "a name that git takes, such as baseline-v0")
        return self._find("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")

    def commit(self, folder: str, message: str) -> str:
        """Commits what is in `folder`, and nothing else that may be staged; the commit, also where nothing had changed."""
        self._run(
            "add", "--all", "--force", "--", folder, expects="a repository that can be written"
        )
        if (
            self.head()
            and self._exit_code("diff", "--cached", "--quiet", "HEAD", "--", folder) == 0
        ):
            return self.head()
        self._run(
            *("commit", "--quiet", "--message", message, "--only", "--", folder),
            expects="a repository that takes a commit",
        )
        return self.head()

    def tag(self, name: str, commit: str, message: str) -> None:
        """An annotated tag at `commit`."""
        self._run(
            *("tag", "--annotate", "--message", message, name, commit),
            expects="a repository that takes a tag",
        )

    # ---- the program --------------------------------------------------------------------------------

    def _find(self, *arguments: str) -> str:
        done = self._git(*arguments)
        return done.stdout.strip() if done.returncode == 0 else ""

    def _exit_code(self, *arguments: str) -> int:
        return self._git(*arguments).returncode

    def _run(self, *arguments: str, expects: str) -> str:
        done = self._git(*arguments)
        if done.returncode != 0:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            self._refuse(f"git {arguments[0]}: {' '.join(said)[-600:] or done.returncode}", expects)
        return done.stdout

    def _git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                ["git", "-C", str(self.root), *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            self._refuse(f"git cannot be run: {error.strerror}", "git on this machine")

    def _refuse(self, found: str, expected: str) -> NoReturn:
        raise ConfigurationFault(Fault(where=str(self.root), found=found, expected=expected))
