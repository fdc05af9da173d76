"""The code and the configuration that records were made by: those of this process, or recorded ones in a process of their own.

Whether it is the right code is seen by the code versions of its assets, which are digests of kernels and configuration.
A process of its own takes one Replay a line, as JSON, and answers with one line.
"""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol

import dagster as dg

from phoenix_assets.errors import LineageError, PhoenixError
from phoenix_assets.lineage import Execution, LineageRecord
from resources.execution import CODE, code_commit, kept_configuration
from resources.lake import Lake
from resources.replay import Remade, Replay, make_again


class Code(Protocol):
    """Code with a configuration: it knows its assets' code versions, and makes records again."""

    @property
    def versions(self) -> Mapping[str, str]:
        """The code version of every asset."""
        ...

    def make_again(self, home: Path, replay: Replay) -> Remade:
        """Materialise `replay` in the lake of `home`. Raises PhoenixError when it fails."""
        ...


class CodeHere:
    """The code and the configuration of this process."""

    def __init__(self, definitions: dg.Definitions) -> None:
        assets = (one for one in definitions.assets or () if isinstance(one, dg.AssetsDefinition))
        self._assets = {key.to_user_string(): one for one in assets for key in one.keys}

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """The code version of every asset."""
        return {
            asset: one.code_versions_by_key[dg.AssetKey(asset.split("/"))] or ""
            for asset, one in self._assets.items()
        }

    def make_again(self, home: Path, replay: Replay) -> Remade:
        """Materialise `replay` in the lake of `home`. Raises PhoenixError when it fails."""
        return make_again(self._assets[replay.asset], home, replay)


class CodeElsewhere:
    """Code in another folder or with another configuration, in a process that ends with this one."""

    def __init__(self, code: Path, configuration: Path | None) -> None:
        settings = {"PHOENIX_CONFIG": str(configuration)} if configuration else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "resources.recorded_code"],
            cwd=code,
            env={**os.environ, **settings, "PYTHONPATH": str(code)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @cached_property
    def versions(self) -> Mapping[str, str]:
        """The code version of every asset. Raises PhoenixError when the code does not start."""
        versions: dict[str, str] = self._answer()["versions"]
        return versions

    def make_again(self, home: Path, replay: Replay) -> Remade:
        """Materialise `replay` in the lake of `home`. Raises PhoenixError when it fails."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(json.dumps([str(home), replay.model_dump(mode="json")]) + "\n")
        self._process.stdin.flush()
        return Remade.model_validate(self._answer()["remade"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise PhoenixError(f"the recorded code ended with exit status {self._process.wait()}; see above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PhoenixError(str(answer["error"]))
        return answer


class RecordedCode:
    """Finds, for each record, the code and the configuration that it was made by. `folder` takes what is unpacked."""

    def __init__(self, here: Code, lake: Lake, folder: Path) -> None:
        self._here, self._lake, self._folder = here, lake, folder
        self._elsewhere: dict[tuple[str, str], CodeElsewhere] = {}

    def of(self, record: LineageRecord) -> Code:
        """Return code whose version of the record's asset is the recorded one. Raises LineageError for none."""
        if self._here.versions.get(record.asset) == record.code_version:
            return self._here
        execution = record.execution
        configuration = kept_configuration(self._lake, execution.configuration)
        if execution.configuration and configuration.is_dir():
            for commit in dict.fromkeys(("", execution.commit)):
                if not (commit and execution.changed):
                    code = self._started(commit, configuration)
                    if code.versions.get(record.asset) == record.code_version:
                        return code
        raise LineageError(
            f"{record.asset}[{record.partition}] was made by code version {record.code_version}, and is"
            f" {self._here.versions.get(record.asset, 'no asset')} here: {_lost(execution)}"
        )

    def close(self) -> None:
        """End every process."""
        for code in self._elsewhere.values():
            code.close()

    def _started(self, commit: str, configuration: Path) -> CodeElsewhere:
        place = commit, configuration.name
        if place not in self._elsewhere:
            code = self._checked_out(commit) if commit and commit != code_commit()[0] else CODE
            self._elsewhere[place] = CodeElsewhere(code, configuration)
        return self._elsewhere[place]

    def _checked_out(self, commit: str) -> Path:
        """Unpack a commit's files. Raises LineageError when this repository does not have it."""
        folder = self._folder / commit
        if not folder.is_dir():
            archive = subprocess.run(["git", "-C", str(CODE), "archive", commit], capture_output=True)
            if archive.returncode:
                raise LineageError(
                    f"the repository at {CODE} has no commit {commit}, by which the data was made: fetch it"
                    f" ({archive.stderr.decode(errors='replace').strip()})"
                )
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
                files.extractall(folder, filter="data")
        return folder


def _lost(execution: Execution) -> str:
    if not execution.configuration:
        return "its record does not say where that code is; run this command with the code that made it"
    if not execution.commit:
        return "that code ran outside a git checkout; run this command with it"
    if execution.changed:
        return f"that code was commit {execution.commit} with changes that were never committed; run this command with it"
    return f"commit {execution.commit} with the configuration {execution.configuration} that the lake keeps is not it"


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answer each request by what was made, or by why it was not."""
    from phoenix_assets.definitions import defs

    code = CodeHere(defs)
    _say(answers, versions=dict(code.versions))
    for line in requests:
        home, replay = json.loads(line)
        try:
            made = code.make_again(Path(home), Replay.model_validate(replay))
        except PhoenixError as error:
            _say(answers, error=str(error))
        else:
            _say(answers, remade=made.model_dump(mode="json"))


def _say(answers: IO[str], **values: object) -> None:
    answers.write(json.dumps(values) + "\n")
    answers.flush()


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(2, 1)  # what kernels print is no answer
        serve(sys.stdin, said)
