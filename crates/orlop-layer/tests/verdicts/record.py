#!/usr/bin/env python3
"""Records what umoci and containerd make of the cases in cases.txt.

    record.py [WORKDIR] > verdicts.txt

Needs root, umoci, containerd, ctr, and a WORKDIR on which overlayfs can have its upper folders. Each case
becomes a real OCI image: its layers are tars by Python's tarfile, no code of orlop takes part. The image is
unpacked by `umoci unpack`, and imported and mounted by `ctr` with the snapshotters overlayfs and native. What is
there is written down line by line, in the notation of the table; a refusal is one line that begins with `!`.
Times are not looked at: for folders without an entry they are the time of the run.
"""

import hashlib, io, json, os, re, shutil, stat, subprocess, sys, tarfile, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE,
         "p": tarfile.FIFOTYPE, "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE}


def read_cases(path):
    """{name: [[line of layer 0, ...], [line of layer 1, ...]]}"""
    cases, layers = {}, None
    for line in open(path):
        line = line.rstrip("\n")
        if line.startswith("case "):
            layers = cases[line[5:]] = []
        elif re.match(r"\d", line):
            number, _, entry = line.partition(" ")
            while len(layers) <= int(number):
                layers.append([])
            if entry:
                layers[int(number)].append(entry)
    return cases


def member(layer, ordinal, line):
    words = line.split(" ")
    info = tarfile.TarInfo(words[1])
    info.type, info.mtime = KINDS[words[0]], 1_600_000_000 + layer
    usual = {"d": 0o750, "l": 0o777}.get(words[0], 0o640) | (0 if words[0] == "l" else layer)
    info.mode = int(words[-1], 8) if re.fullmatch(r"[0-7]{4}", words[-1]) else usual
    content = b""
    if words[0] == "f":
        content = f"{layer}.{ordinal}".encode()
    elif words[0] in "lh":
        info.linkname = words[3]
    elif words[0] in "cb":
        info.devmajor, info.devminor = map(int, words[2].split(":"))
    info.size = len(content)
    return info, io.BytesIO(content)


def tar_of(layer, lines):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for ordinal, line in enumerate(lines):
            info, content = member(layer, ordinal, line)
            tar.addfile(info, content)
    return out.getvalue()


def write_layout(folder, name, layers):
    os.makedirs(folder + "/blobs/sha256")

    def blob(content, media_type):
        digest = hashlib.sha256(content).hexdigest()
        with open(f"{folder}/blobs/sha256/{digest}", "wb") as out:
            out.write(content)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(content)}

    oci = "application/vnd.oci.image."
    tars = [blob(tar_of(number, lines), oci + "layer.v1.tar") for number, lines in enumerate(layers)]
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [tar["digest"] for tar in tars]}}
    manifest = {"schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
                "config": blob(json.dumps(config).encode(), oci + "config.v1+json"), "layers": tars}
    top = blob(json.dumps(manifest).encode(), oci + "manifest.v1+json")
    top["annotations"] = {"org.opencontainers.image.ref.name": name}
    top["platform"] = {"architecture": "amd64", "os": "linux"}
    json.dump({"schemaVersion": 2, "manifests": [top]}, open(folder + "/index.json", "w"))
    json.dump({"imageLayoutVersion": "1.0.0"}, open(folder + "/oci-layout", "w"))


def listing(root):
    first, lines = {}, []

    def visit(path, name):
        try:
            at = os.lstat(path)
        except OSError as error:
            lines.append(f"? {name}: {error.strerror}")
            return
        if not stat.S_ISDIR(at.st_mode) and at.st_nlink > 1:
            if at.st_ino in first:
                lines.append(f"h {name} = {first[at.st_ino]}")
                return
            first[at.st_ino] = name
        line = f"{stat.S_IMODE(at.st_mode):04o} {at.st_uid}:{at.st_gid} {name}"
        device = f"{os.major(at.st_rdev)}:{os.minor(at.st_rdev)}"
        if stat.S_ISDIR(at.st_mode):
            lines.append("d " + line)
            for child in sorted(os.listdir(os.fsencode(path))):
                child = os.fsdecode(child)
                visit(f"{path}/{child}", child if name == "/" else f"{name}/{child}")
        elif stat.S_ISREG(at.st_mode):
            lines.append(f"f {line} " + open(path).read())
        elif stat.S_ISLNK(at.st_mode):
            lines.append(f"l {name} -> " + os.readlink(path))
        elif stat.S_ISFIFO(at.st_mode):
            lines.append("p " + line)
        else:
            lines.append(("c " if stat.S_ISCHR(at.st_mode) else "b ") + line + " " + device)

    visit(root, "/")
    return [line for line in lines if line != "d 0755 0:0 /"]


def refusal(done, work):
    text = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    text = re.sub(r".*(level=error msg=|⨯|ctr: )", "", text[-1]).strip().strip('"')
    text = text.replace(work, "WORK")
    text = re.sub(r"sha256:[0-9a-f]{64}", "DIGEST", text)
    text = re.sub(r"(?<=snapshots/)\d+|containerd-mount\d+|(?<=extract-)\S+", "N", text)
    return ["! " + text]


def run(*command):
    return subprocess.run(command, text=True, capture_output=True, timeout=60)


def need(*command):
    done = run(*command)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stderr}")
    return done.stdout


def by_umoci(work, layout, name):
    bundle = work + "/bundle"
    done = run("umoci", "unpack", "--image", f"{layout}:{name}", bundle)
    result = refusal(done, work) if done.returncode else listing(bundle + "/rootfs")
    shutil.rmtree(bundle, ignore_errors=True)
    return result


def chain_id(layout):
    """The name of the snapshot that the whole stack is unpacked to."""
    read = lambda digest: json.load(open(f"{layout}/blobs/sha256/{digest[7:]}"))
    manifest = read(json.load(open(layout + "/index.json"))["manifests"][0]["digest"])
    chain, *rest = read(manifest["config"]["digest"])["rootfs"]["diff_ids"]
    for layer in rest:
        chain = "sha256:" + hashlib.sha256(f"{chain} {layer}".encode()).hexdigest()
    return chain


def by_containerd(snapshotter):
    def by(work, layout, name):
        ctr = ["ctr", "--address", work + "/containerd.sock"]
        snapshots = [*ctr, "snapshots", "--snapshotter", snapshotter]
        archive, target, image = work + "/image.tar", work + "/mnt", f"case/{name}:{name}"
        with tarfile.open(archive, "w") as tar:
            tar.add(layout, arcname=".")
        done = run(*ctr, "images", "import", "--snapshotter", snapshotter, "--base-name", f"case/{name}", archive)
        if done.returncode:
            result = refusal(done, work)
        else:
            os.makedirs(target, exist_ok=True)
            need(*snapshots, "view", "look", chain_id(layout))
            mount = need(*snapshots, "mounts", target, "look")
            need("sh", "-ec", mount)
            result = listing(target)
            need("umount", target)
            need(*snapshots, "rm", "look")
        run(*ctr, "images", "rm", image)
        return result

    return by


PEERS = {"umoci": by_umoci, "overlayfs": by_containerd("overlayfs"), "native": by_containerd("native")}


def start_containerd(work):
    config = work + "/containerd.toml"
    with open(config, "w") as out:
        out.write(f'version = 2\nroot = "{work}/root"\nstate = "{work}/state"\n'
                  f'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]\n'
                  f'[grpc]\naddress = "{work}/containerd.sock"\n[ttrpc]\naddress = "{work}/ttrpc.sock"\n'
                  # Views have no owner: no garbage collection of its own accord.
                  f'[plugins."io.containerd.gc.v1.scheduler"]\nschedule_delay = "1h"\nstartup_delay = "1h"\nmutation_threshold = 1000000\n')
    log = open(work + "/containerd.log", "w")
    daemon = subprocess.Popen(["containerd", "--config", config], stdout=log, stderr=log)
    for _ in range(100):
        if not run("ctr", "--address", work + "/containerd.sock", "version").returncode:
            return daemon
        time.sleep(0.1)
    raise SystemExit("containerd does not start: see " + log.name)


def main():
    os.umask(0o022)
    work = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else None)
    cases = read_cases(HERE + "/cases.txt")
    daemon = start_containerd(work)
    try:
        print("# Written by record.py; not to be edited.")
        print("# umoci:", run("umoci", "--version").stdout.split()[2])
        print("# overlayfs, native: containerd", run("containerd", "--version").stdout.split()[2],
              "on Linux", os.uname().release)
        for name, layers in cases.items():
            layout = work + "/layout"
            write_layout(layout, name, layers)
            results = {peer: by(work, layout, name) for peer, by in PEERS.items()}
            shutil.rmtree(layout)
            print(f"\ncase {name}")
            for result in dict.fromkeys(map(tuple, results.values())):
                print(*(peer for peer in PEERS if tuple(results[peer]) == result))
                for line in result:
                    print("  " + line)
            sys.stdout.flush()
    finally:
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(work, ignore_errors=True)


main()
