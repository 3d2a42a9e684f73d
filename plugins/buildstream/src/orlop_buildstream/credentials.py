#
#  Licensed under the Apache License, Version 2.0 or the MIT license, at your option.
#
"""
credentials - what ``~/.netrc`` says of a host, for orlop
=========================================================
BuildStream keeps the credentials of its file sources in ``~/.netrc``. They are handed to orlop in a file of the form
that docker and podman use, which only the user can read: nothing secret stands on a command line.
"""

import base64
import json
import netrc
import os
from contextlib import contextmanager
from typing import Callable, Iterator, List, Optional

# Set by users who name their own file of credentials: that one is asked, and not .netrc.
OWN_FILE = "REGISTRY_AUTH_FILE"


@contextmanager
def from_netrc(host: str, is_bearer: bool, directory: str, warn: Callable[[str], None]) -> Iterator[List[str]]:
    """Yield the arguments that make orlop use the credentials for *host*; none where there are none

    Args:
       host: The registry, as ``HOST[:PORT]``
       is_bearer: Whether the password is a bearer token, as source mirrors may say
       directory: Where the file may be written while it is needed
       warn: Is told why ``~/.netrc`` cannot be read
    """
    entry = None if OWN_FILE in os.environ else _entry(host, warn)
    if entry is None:
        yield []
        return
    path = os.path.join(directory, "auth.json")
    with open(path, "w", encoding="utf-8", opener=_private) as file:
        json.dump({"auths": {host: _secret(*entry, is_bearer)}}, file)
    try:
        yield ["--authfile", path]
    finally:
        os.unlink(path)


def _entry(host: str, warn: Callable[[str], None]) -> Optional[tuple]:
    try:
        known = netrc.netrc()
    except OSError:
        return None
    except netrc.NetrcParseError as error:
        warn("While reading .netrc: {}".format(error))
        return None
    name = host if host in known.hosts else host.rsplit(":", 1)[0]
    found = known.authenticators(name)
    return (found[0], found[2]) if found else None


def _secret(user: str, password: str, is_bearer: bool) -> dict:
    if is_bearer:
        return {"registrytoken": password}
    return {"auth": base64.b64encode("{}:{}".format(user, password).encode("utf-8")).decode("ascii")}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)
