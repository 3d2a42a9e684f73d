#
#  Licensed under the Apache License, Version 2.0 or the MIT license, at your option.
#
"""
program - the program orlop, run for a plugin
=============================================
The program is run with ``--format json``: its result is one JSON document on standard output, an error is one JSON
object on the last line of standard error, and the exit code says what kind of error it is. Both are documented and
stable, so nothing here reads text that is meant for people.
"""

import json
import os
import shutil
import sys
import tempfile
from enum import IntEnum
from typing import IO, Any, Optional, Sequence

from buildstream import Plugin, utils


class Code(IntEnum):
    """Exit codes of orlop that a plugin acts upon"""

    OK = 0
    NOT_FOUND = 2
    INTEGRITY = 5
    UNREACHABLE = 6
    DIFFERS = 8


class ProgramError(Exception):
    """What orlop says of a failure

    Args:
       code: The exit code
       message: What failed
       causes: Why, from the nearest cause to the last
       hint: What to do next, or ``None``
    """

    def __init__(self, code: int, message: str, causes: Sequence[str] = (), hint: Optional[str] = None):
        super().__init__(": ".join([message, *causes]))
        self.code = code
        self.hint = hint

    @property
    def is_temporary(self) -> bool:
        """Whether the same command may succeed a little later"""
        return self.code == Code.UNREACHABLE

    @property
    def is_damage(self) -> bool:
        """Whether bytes were not those that their digest names"""
        return self.code == Code.INTEGRITY


class Program:
    """The program orlop, run for one plugin

    Args:
       plugin: The plugin that runs it, whose log and signal handling apply
    """

    def __init__(self, plugin: Plugin):
        self._plugin = plugin
        self._path: Optional[str] = None

    def find(self) -> str:
        """The path of the program: the one that was installed with this package, or else the one in ``PATH``

        Raises:
           ProgramNotFoundError: If there is neither
        """
        if self._path is None:
            beside = shutil.which("orlop", path=os.path.dirname(sys.executable))
            self._path = beside or utils.get_host_tool("orlop")
        return self._path

    def run(
        self,
        verb: str,
        *arguments: str,
        stdin: Optional[IO[Any]] = None,
        is_answer: Sequence[int] = (Code.OK,),
    ) -> dict:
        """Run one verb and return the document that it prints

        Args:
           verb: The verb
           arguments: What follows it
           stdin: What it reads, if anything
           is_answer: The exit codes with which a document comes

        Raises:
           ProgramError: If the verb fails
        """
        command = [self.find(), verb, "--format", "json", *arguments]
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            code = self._plugin.call(command, env=_environment(), stdin=stdin, stdout=stdout, stderr=stderr)
            said = _read(stderr)
            if code not in is_answer:
                raise _error(verb, code, said)
            if said:
                self._plugin.debug("orlop {}".format(verb), detail=said)
            return json.loads(_read(stdout))


def _environment() -> dict:
    """The caller's environment without what would change a result"""
    return {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", errors="replace")


def _error(verb: str, code: int, said: str) -> ProgramError:
    lines = said.strip().splitlines() or [""]
    try:
        error = json.loads(lines[-1])
        return ProgramError(code, error["error"], error["caused_by"], error["hint"])
    except (ValueError, KeyError, TypeError):
        return ProgramError(code, "orlop {} ended with exit code {}: {}".format(verb, code, lines[-1]))
