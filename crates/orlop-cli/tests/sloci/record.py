#!/usr/bin/env python3
"""Runs every case of cases.json through an installed sloci-image and writes recorded.json.

Usage: record.py PATH-OF-SLOCI-IMAGE
The machine must be an x86_64, because some cases leave --arch out. Recorded with the answers are the version that the
program gives and the SHA-1 of its file, which its own README publishes with each release.
"""
import hashlib, json, pathlib, subprocess, sys, tarfile, tempfile

here = pathlib.Path(__file__).parent
tool = pathlib.Path(sys.argv[1]).resolve()


def blob(layout, descriptor):
    return json.loads((layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())


def run(case):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "rootfs").mkdir()
        (folder / "rootfs" / "file").write_text("content\n")
        words = [tool, *case["options"], "rootfs", case["name"]]
        done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
        names = sorted(path.name for path in folder.iterdir() if path.name != "rootfs")
        result = {**case, "exit": done.returncode, "made": names}
        if done.returncode == 0:
            layout = folder / names[0]
            if layout.is_file():
                with tarfile.open(layout) as archive:
                    archive.extractall(folder / "opened", filter="data")
                layout = folder / "opened"
            entry = json.loads((layout / "index.json").read_bytes())["manifests"][0]
            config = blob(layout, blob(layout, entry)["config"])
            del config["created"], config["rootfs"], config["history"][0]["created"]
            result |= {"platform": entry["platform"], "annotations": entry["annotations"], "config": config}
        return result


version = subprocess.run([tool, "--version"], capture_output=True, check=True, text=True).stdout.split()[1]
recorded = {
    "tool": "sloci-image",
    "version": version,
    "sha1": hashlib.sha1(tool.read_bytes()).hexdigest(),
    "cases": [run(case) for case in json.loads((here / "cases.json").read_text())],
}
(here / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")
