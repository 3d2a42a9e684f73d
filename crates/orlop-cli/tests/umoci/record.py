#!/usr/bin/env python3
"""Runs every case of cases.json through an umoci and writes recorded.json.

Usage: record.py PATH-OF-UMOCI
Each case runs in a folder of its own, in which setup.sh was run and `init --layout l; new --image l:a` came first.
Recorded are what each line answers, and at the end the documents and the layers of every tag, and each config.json. The
test makes the same folders and compares. Run it as root, on a machine that has /etc/resolv.conf.
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


def runtimes(folder):
    """What runtimes are told: files of the folder, and of bundles in it; empty where nothing was written."""
    files = sorted([*folder.glob("*.json"), *folder.glob("*/config.json")])
    return {str(path.relative_to(folder)): json.loads(path.read_text() or "{}") for path in files}


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
                "runtimes": runtimes(pathlib.Path(folder))}


version = run([tool, "--version"], ".").stdout.split()[2].split("+")[0]
cases = json.loads((here / "cases.json").read_text())
recorded = {"tool": "umoci", "version": version, "cases": [case(it) for it in cases]}
(here / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")
