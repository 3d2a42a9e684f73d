#
#  Licensed under the Apache License, Version 2.0 or the MIT license, at your option.
#
"""
oci - stage files from OCI and Docker images
============================================

**Usage:**

.. code:: yaml

   # Specify the oci source kind
   kind: oci

   # Where the image is: a repository of a registry (docker://HOST/REPOSITORY), or a file (https:// or file://), which
   # is an OCI archive, an archive of `docker save`, or an OCI layout in a tar, compressed or not. Of several images
   # in a file, #TAG behind it names one. The beginning is usually an alias.
   url: registry:library/debian

   # Instead of the url: an OCI layout or an archive in the project. Exactly one of the two is given.
   # path: files/image

   # The tag that `bst source track` follows (optional). A range of versions follows the newest tag within it; a
   # range is what holds one of ^ ~ < > = * or a comma. Of a path, the image that is meant.
   track: bookworm

   # The image: the digest of its index or manifest. Of a file: the sha256 of that file. Without a ref, a path
   # stands for whatever it holds, as that of a `local` source does.
   ref: sha256:a2f56b1ae8a2c8a8b4dcbb9cf7c0ad0d0e5b1ae6a5a52e1eec8a3d0f8bb3b7a1

   # The platform to take of an image for several (optional, default: that of this machine). Names of machines as
   # BuildStream spells them (x86_64, aarch64) are understood. As one ref names all platforms, a project for several
   # architectures sets this once, by its option.
   platform: linux/%{arch}

   # Stage only this folder of the image (optional, default: /)
   subdir: /usr

   # Specify the version to be reported as the *guess_version* when reporting SourceInfo (optional)
   version: "12.5"

A ref of the ``docker`` source, a sha256 without ``sha256:`` before it, is understood too, and tracking keeps it so. Sources
that are written in braces need this spelling, because BuildStream does not quote the refs that it writes.

What is staged
~~~~~~~~~~~~~~
The layers are merged as a container engine does it, whiteouts and all. Then the tree is reduced to what BuildStream
keeps: files with their contents and whether their owner can run them, folders, and symbolic links. Owners and other
bits of modes are not staged; neither are setuid bits, extended attributes, device nodes and named pipes, and the log
says how many of these there were. What should have them gets them back when an image is made of it, see ``oci_image``.

What is kept
~~~~~~~~~~~~
All images of all elements are in one OCI layout in the source cache, so that a layer is fetched and kept once. Of an
index only the platform that is wanted is fetched. Blobs are proven by their digests as they arrive, and again as they
are unpacked. A blob that was damaged in between is removed, and staging fails with its digest; the next fetch brings it
again.

Credentials
~~~~~~~~~~~
Credentials of registries are taken from ``~/.netrc`` as those of other sources are, unless ``REGISTRY_AUTH_FILE`` is
set; else from where podman and docker keep them. A mirror plugin that asks for ``http-auth: bearer`` has the password
sent as a bearer token. Which registries are spoken to without TLS or have a certificate of an own authority is set in
``registries.conf`` and ``certs.d``, as for podman. For files of the web no credentials are sent.

Reporting :class:`.SourceInfo`
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
For an image of a registry the url is that of the repository, the *medium*
:attr:`SourceInfoMedium.OCI_IMAGE <buildstream.source.SourceInfoMedium.OCI_IMAGE>`, the *version_type*
:attr:`SourceVersionType.OCI_DIGEST <buildstream.source.SourceVersionType.OCI_DIGEST>`, and the *version* its digest. So
the same image is had by ``docker pull <url-without-scheme>@<version>``. For a file they are ``REMOTE_FILE`` and
``SHA256``, for a path ``LOCAL`` and ``OCI_DIGEST``. The platform is reported as ``platform`` of the *extra_data*.

The *guess_version* is the ``version`` that is configured: no digest tells one.
"""

import hashlib
import os
import platform
import re
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import urldefrag, urlparse
from urllib.request import url2pathname

from buildstream import Source, SourceError

from orlop_buildstream.credentials import from_netrc
from orlop_buildstream.program import Code, Program, ProgramError

# Since BuildStream 2.5, before which nobody asks for them.
try:
    from buildstream import SourceInfoMedium, SourceVersionType
except ImportError:
    pass

_REGISTRY = "docker://"
_DIGEST = re.compile(r"(?:(sha256):)?([0-9a-f]{64})|(sha512):([0-9a-f]{128})|(sha384):([0-9a-f]{96})")
# No tag holds one of these, and every range of versions does.
_RANGE = re.compile(r"[\^~<>=*,]")


class OciSource(Source):
    # pylint: disable=attribute-defined-outside-init

    BST_MIN_VERSION = "2.4"
    BST_STAGE_VIRTUAL_DIRECTORY = True

    def configure(self, node):
        node.validate_keys(
            [*Source.COMMON_CONFIG_KEYS, "url", "path", "track", "platform", "subdir", "ref", "version"]
        )
        self.program = Program(self)
        self.tag = node.get_str("track", None)
        self.platform = node.get_str("platform", "linux/{}".format(platform.machine()))
        self.subdir = node.get_str("subdir", "/")
        self.version = node.get_str("version", None)
        self.found: Optional[str] = None
        self.load_ref(node)
        self.original_url = node.get_str("url", None)
        path = node.get_scalar("path", None)
        if (self.original_url is None) == path.is_none():
            raise SourceError("{}: exactly one of 'url' and 'path' is wanted".format(node.get_provenance()))
        extra_data: Dict[str, Any] = {}
        if self.original_url is None:
            self.path = self.node_get_project_path(path)
            self.place: _Place = _Local(os.path.join(self.get_project_directory(), self.path))
        else:
            self.path = None
            self.url = self._translate(self.original_url, extra_data)
            self.place = _place(self.url, node.get_provenance())
        self.is_bearer = extra_data.get("http-auth") == "bearer"

    def preflight(self):
        self.program.find()

    def get_unique_key(self):
        unique_key = [self.original_url, self._digest(), self.platform, self.subdir]
        if self.version is not None:
            unique_key.append(self.version)
        return unique_key

    def load_ref(self, node):
        self.ref = node.get_str("ref", None)
        if self.ref is not None and not _DIGEST.fullmatch(self.ref):
            raise SourceError(
                "{}: '{}' is no digest".format(node.get_scalar("ref").get_provenance(), self.ref),
                detail="A ref is the digest of an image, such as sha256:… with 64 hexadecimal digits.",
            )

    def get_ref(self):
        return self.ref

    def set_ref(self, ref, node):
        node["ref"] = self.ref = ref

    # What a path holds is known without a ref.
    def is_resolved(self):
        return self.ref is not None or self.path is not None

    def track(self):  # pylint: disable=arguments-differ
        # Without a tag there is nothing to follow, which is no error; a file has no tags and is followed as it is.
        if self.tag is None and not isinstance(self.place, _File):
            return None
        with self.timed_activity("Tracking {}".format(self.place)), self._reported("track"):
            with self._credentials() as credentials:
                digest = self.place.find(self.program, self.tag, credentials)
        # A ref keeps its spelling: the same image is no news then.
        is_bare = self.ref is not None and ":" not in self.ref
        return digest.replace("sha256:", "") if is_bare else digest

    def is_cached(self):
        if self.path is not None:
            return True
        # No blob is hashed here: what is in the layout was proven when it came, and is proven again when it is staged.
        try:
            manifest = self.program.run("inspect", "--platform", self.platform, self._kept())["manifest"]
        except ProgramError:
            return False
        return all(self._has(blob) for blob in [manifest["config"], *manifest["layers"]])

    def fetch(self):  # pylint: disable=arguments-differ
        with self.timed_activity("Fetching {}".format(self.place)), self._reported("fetch"):
            with self._credentials() as credentials:
                source = self.place.pinned(self.program, _digest_of(self.ref))
                options = ["--platform", self.platform, "--progress", "none", *credentials]
                self.program.run("copy", *options, *source, self._kept())

    def stage_directory(self, directory):
        with self.timed_activity("Staging {}".format(self.place)), self.tempdir() as tempdir:
            root = os.path.join(tempdir, "root")
            options = ["--reduced", "--platform", self.platform, "--subdir", self.subdir, "--progress", "none"]
            with self._reported("stage"):
                unpacked = self.program.run("unpack", *options, self._staged(), root)
            self._tell_of(unpacked["lost"])
            result = directory.import_files(root)
            if result.overwritten or result.ignored:
                raise SourceError(
                    "{}: files of the image clash with files that are there".format(self),
                    detail="\n".join([*result.overwritten, *result.ignored]),
                    reason="ensure-stage-dir-fail",
                )

    def collect_source_info(self):
        url, medium, version_type = self.place.info()
        return [
            self.create_source_info(
                url if self.path is None else self.path,
                medium,
                version_type,
                self._digest() if version_type == SourceVersionType.OCI_DIGEST else self._digest().split(":")[1],
                version_guess=self.version,
                extra_data={"platform": self.platform},
            )
        ]

    # _translate()
    #
    # Resolves the alias of the url. A registry that is spelled out needs no alias, but the core would take its scheme
    # for one.
    #
    def _translate(self, url: str, extra_data: Dict[str, Any]) -> str:
        if url.startswith(_REGISTRY):
            self.mark_download_url("https://" + url[len(_REGISTRY) :])
            return url
        return self.translate_url(url, extra_data=extra_data)

    # _digest()
    #
    # The digest that the ref names; without one, that of what the path holds now.
    #
    def _digest(self) -> str:
        if self.ref is not None:
            return _digest_of(self.ref)
        if self.found is None:
            with self._reported("look at"):
                self.found = self.place.find(self.program, self.tag, [])
        return self.found

    # _layout()
    #
    # The folder of the one layout that holds the images of all elements.
    #
    def _layout(self) -> str:
        return os.path.join(self.get_mirror_directory(), "images")

    # _kept()
    #
    # The image in the layout. A file goes by another name than an image, although both have a digest, and each of the
    # images that one file holds by its own.
    #
    def _kept(self) -> str:
        name = _digest_of(self.ref).replace(":", "-")
        if isinstance(self.place, _File):
            which = hashlib.sha256(self.place.tag.encode()).hexdigest()[:16]
            name = "file-{}-{}".format(name, which) if self.place.tag else "file-" + name
        return "oci:{}:{}".format(self._layout(), name)

    def _staged(self) -> str:
        return self._kept() if self.path is None else "{}@{}".format(self.place.reference, self._digest())

    def _has(self, blob: Dict[str, Any]) -> bool:
        try:
            return os.stat(self._blob(blob["digest"])).st_size == blob["size"]
        except OSError:
            return False

    def _blob(self, digest: str) -> str:
        return os.path.join(self._layout(), "blobs", *digest.split(":", 1))

    # _credentials()
    #
    # The arguments with which orlop shows who asks.
    #
    @contextmanager
    def _credentials(self) -> Iterator[List[str]]:
        if not isinstance(self.place, _Registry):
            yield []
            return
        with self.tempdir() as tempdir:
            with from_netrc(self.place.host, self.is_bearer, tempdir, self.warn) as arguments:
                yield arguments

    # _reported()
    #
    # What orlop says of a failure, as BuildStream reports it. What is damaged in the layout is taken away, so that the
    # next fetch brings it again.
    #
    @contextmanager
    def _reported(self, action: str) -> Iterator[None]:
        try:
            yield
        except ProgramError as error:
            detail = error.hint
            if error.is_damage and self.path is None and self.ref is not None:
                removed = self._remove_damaged()
                if removed:
                    detail = "Removed, to be fetched again:\n" + "\n".join(removed)
            raise SourceError(
                "{}: Cannot {} {}: {}".format(self, action, self.place, error),
                detail=detail,
                reason="oci-{}-failed".format(action.split(" ")[0]),
                temporary=error.is_temporary,
            ) from error

    def _remove_damaged(self) -> List[str]:
        try:
            found = self.program.run("validate", self._kept(), is_answer=(Code.OK, Code.DIFFERS))
        except ProgramError:
            return []
        damaged = {problem["blob"] for problem in found["problems"] if problem["rule"] == "damaged"}
        removed = []
        for digest in sorted(damaged - {None}):
            try:
                os.unlink(self._blob(digest))
            except FileNotFoundError:
                continue
            removed.append(digest)
        return removed

    def _tell_of(self, lost: Dict[str, Any]) -> None:
        for what, loss in lost.items():
            self.info("Not staged: {} of kind '{}'".format(loss["count"], what), detail="\n".join(loss["examples"]))


class _Place:
    """Where an image is

    Args:
       reference: As orlop names it
    """

    def __init__(self, reference: str):
        self.reference = reference

    def __str__(self) -> str:
        return self.reference

    def find(self, program: Program, tag: Optional[str], credentials: List[str]) -> str:
        """The digest that the place, or one of its tags, stands for now"""
        reference = self.reference if tag is None else "{}:{}".format(self.reference, tag)
        return program.run("digest", *credentials, reference)["digest"]

    def pinned(self, program: Program, digest: str) -> List[str]:
        """The arguments that name just what has this digest"""
        raise NotImplementedError()

    def info(self) -> tuple:
        """Where it is, what that place is, and what kind of version it has"""
        raise NotImplementedError()


class _Registry(_Place):
    """A repository of a registry"""

    @property
    def host(self) -> str:
        return self.reference[len(_REGISTRY) :].split("/", 1)[0]

    def find(self, program, tag, credentials):
        if _RANGE.search(tag):
            tag = self._newest(program, tag, credentials)
        return super().find(program, tag, credentials)

    def pinned(self, program, digest):
        return ["{}@{}".format(self.reference, digest)]

    def info(self):
        return self.reference, SourceInfoMedium.OCI_IMAGE, SourceVersionType.OCI_DIGEST

    def _newest(self, program: Program, versions: str, credentials: List[str]) -> str:
        found = program.run("ls", "--semver", versions, *credentials, self.reference)["images"]
        if not found:
            raise ProgramError(Code.NOT_FOUND, "no tag is a version within '{}'".format(versions))
        return found[0]["tag"]


class _File(_Place):
    """A file, which has a digest of its own; ``tag`` is the image of it that is meant, where it is said"""

    tag = ""

    def find(self, program, tag, credentials):
        return program.run("digest", "--file", self.reference)["digest"]

    def info(self):
        return self.reference, SourceInfoMedium.REMOTE_FILE, SourceVersionType.SHA256


class _WebFile(_File):
    """A file of the web"""

    def __init__(self, url: str):
        self.tag = urldefrag(url)[1]
        super().__init__(url)

    def pinned(self, program, digest):
        return ["--sha256", digest.split(":", 1)[1], self.reference]


class _LocalFile(_File):
    """A file outside the project, by its url"""

    def __init__(self, url: str):
        url, self.tag = urldefrag(url)
        self.path = url2pathname(urlparse(url).path)
        self.url = url
        super().__init__("{}:{}".format(self.path, self.tag) if self.tag else self.path)

    def find(self, program, tag, credentials):
        return program.run("digest", "--file", self.path)["digest"]

    def pinned(self, program, digest):
        found = self.find(program, None, [])
        if found != digest:
            raise ProgramError(Code.INTEGRITY, "the file {} has the digest {}, not {}".format(self.path, found, digest))
        return [self.reference]

    def info(self):
        return self.url, SourceInfoMedium.REMOTE_FILE, SourceVersionType.SHA256


class _Local(_Place):
    """A layout or an archive of the project"""

    def __init__(self, path: str):
        # What an archive is shows its content. A folder must be a layout: any other one would be taken for the files.
        super().__init__("oci:" + path if os.path.isdir(path) else path)

    def info(self):
        return self.reference, SourceInfoMedium.LOCAL, SourceVersionType.OCI_DIGEST


def _place(url: str, provenance: Any) -> _Place:
    scheme = url.split("://", 1)[0]
    if scheme in ("http", "https"):
        return _WebFile(url)
    if scheme == "file":
        return _LocalFile(url)
    if scheme != "docker":
        raise SourceError(
            "{}: '{}' names no place that images are in".format(provenance, url),
            detail="A registry is written docker://HOST/REPOSITORY, a file https://… or file://…",
        )
    name = url[len(_REGISTRY) :]
    if "@" in name or ":" in name.rsplit("/", 1)[-1] or "/" not in name:
        raise SourceError(
            "{}: '{}' is no repository of a registry".format(provenance, url),
            detail="It is written docker://HOST/REPOSITORY; its tag is the value of 'track', its digest that of 'ref'.",
        )
    return _Registry(url)


def _digest_of(ref: Optional[str]) -> str:
    """The whole digest that a ref is, also one that the ``docker`` source wrote"""
    return "" if ref is None else ref if ":" in ref else "sha256:" + ref


# Plugin entry point
def setup():
    return OciSource
