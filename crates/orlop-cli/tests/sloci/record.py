#!/usr/bin/env python3
"""Runs every case of cases.json through sloci-image and writes recorded.json.

Usage: record.py PATH-OF-SLOCI-IMAGE COMMIT-OF-ITS-REPOSITORY
The machine must be an x86_64, because some cases leave --arch out.
"""
import json, pathlib, re, subprocess, sys, tarfile, tempfile

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


version = re.search(r"VERSION='(.*)'", tool.read_text()).group(1)
recorded = {
    "tool": "sloci-image",
    "version": version,
    "commit": sys.argv[2],
    "cases": [run(case) for case in json.loads((here / "cases.json").read_text())],
}
(here / "recorded.json").write_text(json.dumps(recorded, indent=1) + "\n")
