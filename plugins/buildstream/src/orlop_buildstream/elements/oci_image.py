#
#  Licensed under the Apache License, Version 2.0 or the MIT license, at your option.
#
"""
oci_image - make an OCI image of artifacts
==========================================
The artifact of this element is an OCI image, as a layout or an archive, whose layers are the artifacts of its
dependencies. No program of the sandbox takes part, so that nothing but what is to be in the image need be built.

.. code:: yaml

   kind: oci_image

   build-depends:
   - filename: base.bst
     config:
       layer: base
   - filename: app.bst
     config:
       layer: app

   config:
     platform: linux/%{arch}
     entrypoint: [/usr/bin/app]
     env:
       LANG: C.UTF-8
     labels:
       .title: The app

Layers
~~~~~~
Dependencies with the same ``layer`` become one layer, together with what they need at runtime; layers are in the order
in which they are first named. What is in one layer is not repeated in a later one. Dependencies without a ``layer``
are in one of the same name, ``''``.

A dependency may be the image to build upon, instead of files of it: ``base`` names the archive in its artifact, or
``/`` where the artifact is a layout.

.. code:: yaml

   build-depends:
   - filename: upstream-image.bst
     config:
       base: /image.tar
   - app.bst

Integration commands are not run: a ``compose`` element between does that.

A leading dot in a label or annotation stands for ``org.opencontainers.image``.

The same artifacts and the same configuration give the same image to the byte, on any machine.

The default configuration and possible options are as such:
  .. literalinclude:: ../../../src/orlop_buildstream/elements/oci_image.yaml
     :language: yaml
"""

import os
import tarfile
import tempfile
from contextlib import contextmanager
from typing import Dict, Iterator, List, Optional, Set, Tuple

from buildstream import Element, ElementError

from orlop_buildstream.program import Program, ProgramError

# Keys of the configuration, and the options of `orlop build` that they are.
_TEXTS = {
    "user": "--user",
    "workdir": "--workdir",
    "stop-signal": "--stop-signal",
    "healthcheck": "--healthcheck",
    "author": "--author",
    "os-version": "--os-version",
    "created": "--created",
}
_LISTS = {
    "entrypoint": "--entrypoint",
    "cmd": "--cmd",
    "expose": "--expose",
    "volumes": "--volume",
    "changes": "--change",
}
_MAPS = {"env": "--env", "labels": "--label", "annotations": "--annotation"}

_TRANSPORTS = {"layout": "oci", "archive": "oci-archive", "docker-archive": "docker-archive"}


class OciImageElement(Element):
    # pylint: disable=attribute-defined-outside-init

    BST_MIN_VERSION = "2.4"

    # What the artifact holds is its dependencies.
    BST_STRICT_REBUILD = True

    # An image needs nothing at runtime, and is made of artifacts alone.
    BST_FORBID_RDEPENDS = True
    BST_FORBID_SOURCES = True

    # The sandbox is only a place to put files together.
    BST_RUN_COMMANDS = False

    def configure(self, node):
        others = ["form", "file", "tag", "platform", "compress", "include", "exclude", "include-orphans"]
        node.validate_keys([*others, "modes", "owners", *_TEXTS, *_LISTS, *_MAPS])
        self.program = Program(self)
        self.form = node.get_str("form")
        if self.form not in _TRANSPORTS:
            raise ElementError(
                "{}: '{}' is no form of an image".format(node.get_scalar("form").get_provenance(), self.form),
                detail="There are: " + ", ".join(_TRANSPORTS),
            )
        self.file = node.get_str("file")
        self.tag = node.get_str("tag")
        self.platform = node.get_str("platform")
        if not self.platform:
            raise ElementError(
                "{}: an image is for one platform".format(node.get_provenance()),
                detail="Say which, such as 'platform: linux/%{arch}' with the variable of an option.",
            )
        self.compress = node.get_str("compress")
        self.include = node.get_str_list("include")
        self.exclude = node.get_str_list("exclude")
        self.include_orphans = node.get_bool("include-orphans")
        self.attributes = _Attributes(_map(node, "modes"), _map(node, "owners"))
        self.texts = {key: node.get_str(key) for key in _TEXTS}
        self.lists = {key: node.get_str_list(key) for key in _LISTS}
        self.maps = {key: _map(node, key) for key in _MAPS}
        self.base: Optional[Tuple[Element, str]] = None
        self.layers: Dict[str, List[Element]] = {}
        self.plan: List[Tuple[str, str]] = []

    def configure_dependencies(self, dependencies):
        for dependency in dependencies:
            layer, base = "", None
            if dependency.config:
                dependency.config.validate_keys(["layer", "base"])
                layer = dependency.config.get_str("layer", layer)
                base = dependency.config.get_str("base", None)
            if base is None:
                self.layers.setdefault(layer, []).append(dependency.element)
                self.plan.append(("layer " + layer, dependency.path))
            elif self.base is None:
                self.base = (dependency.element, base)
                self.plan.append(("base " + base, dependency.path))
            else:
                raise ElementError("{}: an image is built upon one base".format(dependency.config.get_provenance()))

    def preflight(self):
        self.program.find()

    def get_unique_key(self):
        return {
            "form": [self.form, self.file, self.tag],
            "platform": self.platform,
            "compress": self.compress,
            "split": [sorted(self.include), sorted(self.exclude), self.include_orphans],
            "attributes": self.attributes.unique_key(),
            "config": [self.texts, self.lists, {key: list(pairs.items()) for key, pairs in self.maps.items()}],
            "plan": self.plan,
        }

    def configure_sandbox(self, sandbox):
        pass

    def stage(self, sandbox):
        if not self.layers:
            raise ElementError("{}: there is no dependency whose files could become a layer".format(self))
        staged: Set[str] = set()
        with self.timed_activity("Staging dependencies", silent_nested=True):
            for number, elements in enumerate(self.layers.values()):
                for dependency in self.dependencies(elements):
                    if dependency.get_artifact_name() not in staged:
                        staged.add(dependency.get_artifact_name())
                        self._stage_files(sandbox, dependency, number)
            if self.base is not None:
                element, _ = self.base
                for dependency in self.dependencies([element]):
                    dependency.stage_artifact(sandbox, path="/base")

    def assemble(self, sandbox):
        root = sandbox.get_virtual_directory()
        output = root.open_directory("output", create=True)
        with tempfile.TemporaryDirectory(prefix="orlop-") as tempdir:
            image = os.path.join(tempdir, "image")
            with self.timed_activity("Making layers", silent_nested=True):
                layers = [self._layer(root, number, tempdir) for number in range(len(self.layers))]
                self.attributes.check()
            with self.timed_activity("Building the image"), self._reported():
                made = self._build(root, layers, image, tempdir)
            if self.form == "layout":
                output.import_files(image, collect_result=False)
            else:
                with open(image, "rb") as source, output.open_file(self.file, mode="wb") as target:
                    _copy(source, target)
        self.info("The image is {}".format(made))
        return "/output"

    # _stage_files()
    #
    # Puts what is wanted of an artifact into the folder of a layer.
    #
    def _stage_files(self, sandbox, dependency, number: int) -> None:
        dependency.stage_artifact(
            sandbox,
            path="/layers/{}".format(number),
            include=self.include or None,
            exclude=self.exclude or None,
            orphans=self.include_orphans,
        )

    def _layer(self, root, number: int, tempdir: str) -> str:
        path = os.path.join(tempdir, "layer-{}.tar".format(number))
        folder = root.open_directory("layers/{}".format(number), create=True)
        if not folder:
            name = list(self.layers)[number]
            self.warn("The layer '{}' is empty".format(name), warning_token="empty-layer")
        with _Tar.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.attributes = self.attributes
            folder.export_to_tar(tar, "")
        return path

    def _build(self, root, layers: List[str], image: str, tempdir: str) -> str:
        options = ["--platform", self.platform, "--compress", self.compress, "--owner", "exact", "--progress", "none"]
        for key, option in _TEXTS.items():
            options += ["{}={}".format(option, self.texts[key])] if self.texts[key] else []
        for key, option in _LISTS.items():
            options += ["{}={}".format(option, value) for value in self.lists[key]]
        for key, option in _MAPS.items():
            options += ["{}={}={}".format(option, name, value) for name, value in self.maps[key].items()]
        if self.base is not None:
            options += ["--base", self._base(root, tempdir)]
        target = "{}:{}:{}".format(_TRANSPORTS[self.form], image, self.tag)
        return self.program.run("build", *options, *["tar:" + layer for layer in layers], target)["built"]["digest"]

    # _base()
    #
    # The image to build upon, on the disk. A layout is had as what it is in a tar: an archive.
    #
    def _base(self, root, tempdir: str) -> str:
        _, within = self.base
        folder, path = root.open_directory("base"), os.path.join(tempdir, "base.tar")
        name = within.strip("/")
        if not name:
            with tarfile.open(path, "w") as tar:
                folder.export_to_tar(tar, "")
            return path
        if not folder.isfile(name):
            raise ElementError("{}: the artifact to build upon holds no file '{}'".format(self, within))
        with folder.open_file(name, mode="rb") as source, open(path, "wb") as target:
            _copy(source, target)
        return path

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except ProgramError as error:
            raise ElementError(
                "{}: Cannot make the image: {}".format(self, error), detail=error.hint, reason="oci-image-failed"
            ) from error


class _Attributes:
    """Modes and owners that BuildStream does not keep

    Args:
       modes: Octal digits by path
       owners: UID:GID by path
    """

    def __init__(self, modes: Dict[str, str], owners: Dict[str, str]):
        self._given = (modes, owners)
        try:
            self._modes = {path.strip("/"): int(mode, 8) for path, mode in modes.items()}
            self._owners = {path.strip("/"): _ids(owner) for path, owner in owners.items()}
        except ValueError as error:
            raise ElementError("A mode is octal digits such as '4755', an owner UID:GID: {}".format(error)) from error
        self._unmet = {*self._modes, *self._owners}

    def unique_key(self) -> List[list]:
        """What decides how files look"""
        return [sorted(pairs.items()) for pairs in self._given]

    def check(self) -> None:
        """Refuse what is said about paths that no layer has"""
        if self._unmet:
            paths = ", ".join(sorted("/" + path for path in self._unmet))
            raise ElementError("Modes and owners are said of what is in no layer: {}".format(paths))

    def apply(self, member: tarfile.TarInfo) -> None:
        """Give a member of a layer what is said about its path"""
        path = os.path.normpath(member.name).strip("/")
        self._unmet.discard(path)
        member.mode = self._modes.get(path, member.mode)
        member.uid, member.gid = self._owners.get(path, (0, 0))


class _Tar(tarfile.TarFile):
    """A tar whose members have the attributes that they should"""

    attributes: _Attributes

    def addfile(self, tarinfo, fileobj=None):
        self.attributes.apply(tarinfo)
        super().addfile(tarinfo, fileobj)


def _map(node, key: str) -> Dict[str, str]:
    mapping = node.get_mapping(key)
    return {name: mapping.get_str(name) for name in mapping.keys()}


def _ids(owner: str) -> Tuple[int, int]:
    uid, gid = owner.split(":")
    return int(uid), int(gid)


def _copy(source, target) -> None:
    while piece := source.read(1 << 20):
        target.write(piece)


# Plugin entry point
def setup():
    return OciImageElement
