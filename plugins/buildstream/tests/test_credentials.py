#
#  Licensed under the Apache License, Version 2.0 or the MIT license, at your option.
#
"""What ``~/.netrc`` says, and what orlop is handed of it."""

import base64
import json
import os
import stat
import tempfile
import unittest
from unittest import mock

from orlop_buildstream.credentials import OWN_FILE, from_netrc

NETRC = """
machine registry.example login me password "a b:c"
machine registry.example:5000 login other password d
"""


class FromNetrc(unittest.TestCase):
    def setUp(self):
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = home.name
        self.warned = []
        environment = mock.patch.dict(os.environ, {"HOME": self.home})
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop(OWN_FILE, None)

    def write(self, text):
        with open(os.path.join(self.home, ".netrc"), "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(text)

    def handed(self, host, is_bearer=False):
        with from_netrc(host, is_bearer, self.home, self.warned.append) as arguments:
            if not arguments:
                return None
            option, path = arguments
            self.assertEqual(option, "--authfile")
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            with open(path, encoding="utf-8") as file:
                auths = json.load(file)["auths"]
        self.assertFalse(os.path.exists(path))
        self.assertEqual(list(auths), [host])
        return auths[host]

    def test_a_password_is_handed_over_whole(self):
        self.write(NETRC)
        self.assertEqual(base64.b64decode(self.handed("registry.example")["auth"]), b"me:a b:c")

    def test_a_port_has_its_own_entry_or_that_of_the_host(self):
        self.write(NETRC)
        self.assertEqual(base64.b64decode(self.handed("registry.example:5000")["auth"]), b"other:d")
        self.assertEqual(base64.b64decode(self.handed("registry.example:5001")["auth"]), b"me:a b:c")

    def test_a_bearer_token_is_the_password(self):
        self.write(NETRC)
        self.assertEqual(self.handed("registry.example", is_bearer=True), {"registrytoken": "a b:c"})

    def test_nothing_is_said_of_a_stranger(self):
        self.write(NETRC)
        self.assertIsNone(self.handed("elsewhere.example"))

    def test_without_a_file_nothing_is_said(self):
        self.assertIsNone(self.handed("registry.example"))
        self.assertEqual(self.warned, [])

    def test_a_file_of_the_users_own_is_left_to_orlop(self):
        self.write(NETRC)
        os.environ[OWN_FILE] = "/dev/null"
        self.assertIsNone(self.handed("registry.example"))

    def test_a_file_that_cannot_be_read_is_a_warning(self):
        self.write("machine registry.example nonsense x")
        self.assertIsNone(self.handed("registry.example"))
        self.assertEqual(len(self.warned), 1)


if __name__ == "__main__":
    unittest.main()
