#!/bin/sh
# Records images that ostree-ext encapsulates, and what it makes of them again.
#
#   record.sh OSTREE-EXT-CLI
#
# The program is a main around `ostree_ext::cli::run_from_iter` of the crate ostree-ext; recorded with 0.15.3, libostree
# 2022.7 and skopeo 1.9.3, as root on a file system that keeps attributes. Each image is an archive; `recorded.txt` says:
#
#   commit NAME ID           the commit that was encapsulated, and that unencapsulating gave back
#   merged NAME LINE         what the program has after it merged the layers above the commit, as `ostree ls -R` lists it
set -eu
peer=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
out=$here/recorded
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
mkdir -p "$out"
cd "$work"

# A tree of what matters: settings, setuid, owners, attributes, an empty file, one content twice, links.
mkdir -p tree/usr/bin tree/usr/etc/deep tree/usr/lib/gone tree/var tree/sysroot tree/boot
printf 'value\n' > tree/usr/etc/name
: > tree/usr/etc/deep/empty
printf '#!/bin/sh\n' > tree/usr/bin/tool
chmod 4755 tree/usr/bin/tool
cp -p tree/usr/bin/tool tree/usr/bin/same
printf 'labelled\n' > tree/usr/bin/labelled
setfattr -n security.selinux -v system_u:object_r:bin_t:s0 tree/usr/bin/labelled
setfattr -n security.selinux -v system_u:object_r:usr_t:s0 tree/usr/lib
setfattr -n user.note -v beside tree/usr/bin/labelled
printf 'owned\n' > tree/usr/lib/owned
chown 3:4 tree/usr/lib/owned
printf 'x\n' > tree/usr/lib/gone/x
seq 1 2000 > tree/usr/lib/numbers
ln -s usr/bin tree/bin
ln -s sysroot/ostree tree/ostree
ln -s ../etc/name tree/usr/lib/link
ostree init --repo=repo --mode=archive
ostree commit --repo=repo -b os/x --tree=dir=tree -s subject --timestamp='2020-01-02 03:04:05 +0000' \
    --add-metadata=ostree.bootable=true --add-metadata-string=version=42 --add-detached-metadata-string=note=beside
id=$(ostree rev-parse --repo=repo os/x)

# One layer, and one for each of four packages on top of the folders.
"$peer" container encapsulate --repo=repo os/x "oci:$work/one"
ostree ls --repo=repo -RC os/x | python3 -c '
import json, sys
packages = {"usr/bin/": "tools", "usr/lib/": "library", "usr/etc/": "settings"}
mapping = {}
for line in sys.stdin:
    mode, *_, ident, path = line.split(" -> ")[0].split()
    owner = [name for folder, name in packages.items() if path.startswith("/" + folder)]
    if mode[0] in "-l":
        mapping[ident] = (owner or ["unpackaged"])[0]
print(json.dumps({"version": 1, "mapping": mapping, "layers": {name: name for name in sorted(set(mapping.values()))}}))
' > contentmeta.json
"$peer" container encapsulate --repo=repo --contentmeta=contentmeta.json os/x "oci:$work/many"

# Layers above: a changed setting, a removed and a replaced file, an opaque folder, a link to an object of the commit.
python3 - many above "$id" <<'P'
import gzip, hashlib, io, json, os, shutil, sys, tarfile
source, target, commit = sys.argv[1:]
shutil.copytree(source, target)
blob = lambda digest: open(f"{target}/blobs/sha256/{digest[7:]}", "rb").read()
def put(data):
    digest = hashlib.sha256(data).hexdigest()
    open(f"{target}/blobs/sha256/{digest}", "wb").write(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}
def layer(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, kind, link in members:
            info = tarfile.TarInfo(name)
            info.mtime, info.size, info.type, info.linkname = 1600000000, len(content), kind, link
            info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()
file = lambda name, text: (name, text.encode(), tarfile.REGTYPE, "")
folder = lambda name: (name, b"", tarfile.DIRTYPE, "")
layers = [
    layer(folder("etc"), file("etc/name", "changed\n"), folder("usr"), folder("usr/lib"), file("usr/lib/.wh.numbers", ""),
          file("usr/lib/new", "new\n"), ("usr/lib/again", b"", tarfile.LNKTYPE, "usr/lib/new")),
    layer(folder("usr/lib/gone"), file("usr/lib/gone/.wh..wh..opq", ""), file("usr/lib/gone/y", "y\n"),
          file("usr/bin/tool", "replaced\n"), file("etc/deep/.wh.empty", "")),
]
index = json.load(open(f"{target}/index.json"))
manifest = json.loads(blob(index["manifests"][0]["digest"]))
config = json.loads(blob(manifest["config"]["digest"]))
for tar in layers:
    described = put(gzip.compress(tar, mtime=0))
    manifest["layers"].append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **described})
    config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(tar).hexdigest())
    config["history"].append({"created": "2020-02-02T00:00:00Z"})
manifest["config"].update(put(json.dumps(config).encode()))
index["manifests"][0].update(put(json.dumps(manifest).encode()))
json.dump(index, open(f"{target}/index.json", "w"))
P

{
    echo "# Recorded by record.sh."
    for name in one many; do
        ostree init --repo="back-$name" --mode=bare
        "$peer" container unencapsulate --repo="back-$name" --write-ref=x --quiet \
            "ostree-unverified-image:oci:$work/$name" > /dev/null
        [ "$(ostree rev-parse --repo="back-$name" x)" = "$id" ]
        echo "commit $name $id"
    done
    ostree init --repo=merged --mode=bare
    "$peer" container image pull --quiet merged "ostree-unverified-image:oci:$work/above" > pulled.log
    ref=$(ostree refs --repo=merged ostree/container/image | sed 's,^,ostree/container/image/,')
    ostree ls --repo=merged -R "$ref" | grep -v '^d.* /var\|/sysroot' |
        sed -E 's/^(.)([0-7]+) +([0-9]+) +([0-9]+) +([0-9]+) /merged above \1\2 \3 \4 \5 /'
} > "$out/recorded.txt"
for name in one many above; do
    tar -C "$work/$name" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$out/$name.tar" \
        oci-layout index.json blobs
done
