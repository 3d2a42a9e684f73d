#!/usr/bin/env python3
"""Runs every case of cases.json through an umoci and writes recorded.json.

Usage: record.py PATH-OF-UMOCI
Each case runs in a folder of its own, in which setup.sh was run and `init --layout l; new --image l:a` came first.
Recorded are what each line answers, and at the end the documents and the layers of every tag, and what files for runtimes
say. The test makes the same
folders and compares.
"""
import json, os, pathlib, subprocess, sys, tempfile

here = pathlib.Path(__file__).parent
tool = str(pathlib.Path(sys.argv[1]).resolve())
environment = {**os.environ, "SOURCE_DATE_EPOCH": "1000000000", "TZ": "UTC"}


def run(words, folder):
    return subprocess.run(words, cwd=folder, capture_output=True, check=False, text=True, env=environment)


def document(layout, descriptor):
    return json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())


def listing(layout, layer):
    blob = layout / "blobs" / layer["digest"].replace(":", "/")
    words = ["tar", "--numeric-owner", "--full-time", "-tvf", str(blob)]
    return run(words, layout).stdout.splitlines()


def image(layout, entry):
    manifest = document(layout, entry)
    layers = [listing(layout, layer) for layer in manifest["layers"]]
    name = entry["annotations"]["org.opencontainers.image.ref.name"]
    return {"tag": name, "manifest": manifest, "config": document(layout, manifest["config"]), "layers": layers}


def runtime(path):
    """What a runtime is told that an image decides; empty where nothing was written."""
    text = path.read_text()
    if not text:
        return {}
    config = json.loads(text)
    process = config["process"]
    told = {name: process.get(name) for name in ("user", "args", "env", "cwd", "terminal")}
    told |= {name: config.get(name) for name in ("root", "hostname", "annotations")}
    told["mounts"] = [it["destination"] for it in config["mounts"]]
    told["mappings"] = {name: config["linux"].get(name) for name in ("uidMappings", "gidMappings")}
    told["namespaces"] = [it["type"] for it in config["linux"]["namespaces"]]
    return told


def case(it):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["sh", str(here / "setup.sh")], cwd=folder, check=True)
        answers = []
        for words in [["init", "--layout", "l"], ["new", "--image", "l:a"], *it["lines"]]:
            done = run([tool, *words], folder)
            is_told = done.returncode == 0 and words[0] in ("ls", "list", "stat")
            answers.append({"exit": done.returncode, "out": done.stdout if is_told else ""})
        layout = pathlib.Path(folder) / "l"
        entries = json.loads((layout / "index.json").read_bytes())["manifests"]
        return {"name": it["name"], "answers": answers, "images": [image(layout, entry) for entry in entries],
                "runtimes": {path.name: runtime(path) for path in sorted(pathlib.Path(folder).glob("*.json"))}}


version = run([tool, "--version"], ".").stdout.split()[2].split("+")[0]
cases = json.loads((here / "cases.json").read_text())
recorded = {"tool": "umoci", "version": version, "cases": [case(it) for it in cases]}
(here / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")
