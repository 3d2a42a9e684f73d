#!/usr/bin/env python3
"""Makes the archives in this folder, and says what is in them. Run as root, with tar, bsdtar and go.

Three small trees are archived by four writers in every format that they have. `*.expected` is what the trees hold
on disk, asked from the kernel, so no reader of tar is the judge:

    PATH TYPE MODE UID GID MTIME_NS INODE SIZE SHA256 LINK XATTRS      (paths, links and attributes in hex)

`archives` lists: file (packed by gzip), tree, what the format keeps (ns: nanoseconds, xattr, acl;
minus-floor: -1.5 is written as -2.5), and the writer's version.
The Python writer has no attributes and no holes, and its times are floating point; libarchive writes attributes twice, plain and in base64.
"""
import gzip, hashlib, os, shutil, stat, struct, subprocess, sys, tarfile, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NS = 1234567890_123456789


def write(path, content=b"x"):
    with open(path, "wb") as file:
        file.write(content)


def plain():
    """What Unix V7 can hold, but for one path that needs ustar's prefix."""
    os.mkdir("dir")
    write("dir/file", b"hello")
    write("empty", b"")
    write("block", b"b" * 512)
    write("suid"), os.chown("suid", 1234, 5678), os.chmod("suid", 0o4755)
    os.mkdir("sticky"), os.chmod("sticky", 0o1777)
    write("hard-a", b"hard"), os.link("hard-a", "hard-b")
    os.symlink("dir/file", "link")


def full():
    """What only extended headers can hold."""
    plain()
    os.mkfifo("fifo")
    os.mknod("chr", stat.S_IFCHR | 0o640, os.makedev(300, 70000))
    os.mknod("blk", stat.S_IFBLK | 0o640, os.makedev(7, 0))
    deep = "/".join(["deep" * 10] * 4)
    os.makedirs(deep), write(deep + "/" + "n" * 120)
    write(b"latin1-\xe9\xff"), write("utf-\u00e9-\u6f22"), write("new\nline")
    os.symlink("/nowhere/" + "x" * 150, "long-link")
    write("owner"), os.chown("owner", 4294967293, 3000000000)
    for path in ["dir/file", "dir", "link"]:
        os.utime(path, ns=(NS, NS), follow_symlinks=False)


def times():
    """What pax alone can say: times before 1970 and after 2242, attributes, ACLs, holes."""
    write("old"), os.utime("old", ns=(-1500000001, -1500000001))
    write("far"), os.utime("far", ns=(8589934592 * 10**9, 8589934592 * 10**9))
    write("x"), os.setxattr("x", "user.one", b"v1"), os.setxattr("x", "user.bin", b"a\0b\nc=d\xff")
    os.setxattr("x", "user.empty", b"")
    write("cap"), os.setxattr("cap", "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))
    write("acl"), subprocess.run(["setfacl", "-m", "u:1234:rwx,g:55:r", "acl"], check=True)
    os.mkdir("acl-d"), subprocess.run(["setfacl", "-d", "-m", "u:1234:rwx", "acl-d"], check=True)


def sparse():
    """Holes at the start, in the middle and at the end; and nothing but a hole."""
    with open("sparse", "wb") as file:
        for at in range(12):
            file.seek(65536 * (at + 1)), file.write(b"middle%d" % at)
        file.truncate(1 << 20)
    with open("hole", "wb") as file:
        file.truncate(1 << 20)
    write("after")


def describe(path):
    s = os.lstat(path)
    content, link = b"", b""
    if stat.S_ISREG(s.st_mode):
        content = open(path, "rb").read()
    if stat.S_ISLNK(s.st_mode):
        link = os.readlink(path)
    if stat.S_IFMT(s.st_mode) in (stat.S_IFCHR, stat.S_IFBLK):
        link = b"%d:%d" % (os.major(s.st_rdev), os.minor(s.st_rdev))
    xattrs = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
    xattrs = ",".join(f"{n.encode().hex()}={v.hex()}" for n, v in sorted(xattrs.items()))
    kinds = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
    fields = [path.hex(), kinds[stat.S_IFMT(s.st_mode)], f"{stat.S_IMODE(s.st_mode):o}", s.st_uid, s.st_gid,
              s.st_mtime_ns, s.st_ino, len(content), hashlib.sha256(content).hexdigest(), link.hex(), xattrs]
    return "\t".join(map(str, fields))


def paths():
    found = []
    for folder, folders, files in os.walk(b"."):
        found += [os.path.join(folder, name)[2:] for name in folders + files]
    return sorted(found)


GO = r"""
package main

import ("archive/tar"; "io"; "os"; "path/filepath"; "syscall"; "fmt"; "strings")

func main() {
	format := map[string]tar.Format{"ustar": tar.FormatUSTAR, "pax": tar.FormatPAX, "gnu": tar.FormatGNU}[os.Args[1]]
	out := tar.NewWriter(os.Stdout)
	seen := map[uint64]string{}
	filepath.Walk(".", func(path string, info os.FileInfo, err error) error {
		if path == "." { return nil }
		link, _ := os.Readlink(path)
		header, err := tar.FileInfoHeader(info, link)
		if err != nil { panic(err) }
		header.Name, header.Format = path, format
		if info.IsDir() { header.Name += "/" }
		header.Uname, header.Gname, header.AccessTime, header.ChangeTime = "", "", header.AccessTime.AddDate(-9999, 0, 0), header.ChangeTime
		stat := info.Sys().(*syscall.Stat_t)
		header.AccessTime, header.ChangeTime = header.ModTime, header.ModTime
		if format != tar.FormatPAX { header.ModTime = header.ModTime.Truncate(1e9) }
		if format == tar.FormatUSTAR { header.AccessTime, header.ChangeTime = tar.Header{}.ModTime, tar.Header{}.ModTime }
		if first, ok := seen[stat.Ino]; ok && info.Mode().IsRegular() { header.Typeflag, header.Linkname, header.Size = tar.TypeLink, first, 0 }
		seen[stat.Ino] = path
		if format == tar.FormatPAX {
			names := make([]byte, 4096)
			length, _ := syscall.Listxattr(path, names)
			header.PAXRecords = map[string]string{}
			for _, name := range strings.Split(string(names[:max(length)]), "\x00") {
				value := make([]byte, 65536)
				if size, err := syscall.Getxattr(path, name, value); name != "" && err == nil && link == "" { header.PAXRecords["SCHILY.xattr."+name] = string(value[:size]) }
			}
		}
		if err := out.WriteHeader(header); err != nil { panic(fmt.Sprint(path, err)) }
		if header.Typeflag == tar.TypeReg { file, _ := os.Open(path); io.Copy(out, file); file.Close() }
		return nil
	})
	out.Close()
}

func max(length int) int { if length < 0 { return 0 }; return length }
"""


def main():
    work = tempfile.mkdtemp()
    tool = os.path.join(work, "gotar")
    write(os.path.join(work, "main.go"), GO.encode())
    subprocess.run(["go", "build", "-o", tool, os.path.join(work, "main.go")], check=True)
    version = lambda *command: subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    versions = {"gnutar": version("tar", "--version"), "bsdtar": version("bsdtar", "--version"),
                "python": "Python " + sys.version.split()[0], "go": version("go", "version")}
    made = []

    def archive(writer, name, tree, keeps, command=None, function=None):
        target = os.path.join(HERE, f"{writer}-{name}-{tree}.tar")
        if function:
            function(target)
        else:
            subprocess.run([part.replace("OUT", target) for part in command], check=True,
                           stdout=open(target, "wb") if writer == "go" else None)
        packed = gzip.compress(open(target, "rb").read(), mtime=0)
        os.remove(target), write(target + ".gz", packed)
        made.append("\t".join([os.path.basename(target) + ".gz", tree, keeps or "-", versions[writer]]))

    def python(format):
        def make(target):
            with tarfile.open(target, "w", format=format, errors="surrogateescape") as tar:
                for path in map(os.fsdecode, paths()):
                    tar.add(path, recursive=False)
        return make

    for tree in [plain, full, times, sparse]:
        folder = os.path.join(work, tree.__name__)
        os.mkdir(folder), os.chdir(folder)
        tree()
        for path in paths():
            if os.lstat(path).st_mtime_ns > 1_600_000_000_000_000_000 and os.lstat(path).st_mtime < 8e9:
                os.utime(path, ns=(10**18, 10**18), follow_symlinks=False)
        names = [os.fsdecode(path) for path in os.listdir(b".")]
        names.sort()
        gnu = ["tar", "-b1", "--numeric-owner", "--sort=name", "-cf", "OUT"]
        bsd = ["bsdtar", "-b1", "--numeric-owner", "-cf", "OUT"]
        name = tree.__name__
        if tree is plain:
            for format in ["v7", "oldgnu", "ustar"]:
                archive("gnutar", format, name, "", gnu + [f"--format={format}", "."])
            archive("bsdtar", "ustar", name, "", bsd + ["--format=ustar", "."])
            archive("python", "ustar", name, "", function=python(tarfile.USTAR_FORMAT))
            archive("go", "ustar", name, "", [tool, "ustar"])
        if tree is full:
            archive("gnutar", "gnu", name, "", gnu + ["--format=gnu", "."])
            archive("gnutar", "posix", name, "ns", gnu + ["--format=posix", "."])
            archive("bsdtar", "gnutar", name, "", bsd + ["--format=gnutar", "."])
            archive("bsdtar", "pax", name, "ns", bsd + ["--format=pax", "."])
            archive("python", "gnu", name, "", function=python(tarfile.GNU_FORMAT))
            archive("python", "pax", name, "", function=python(tarfile.PAX_FORMAT))
            archive("go", "gnu", name, "", [tool, "gnu"])
            archive("go", "pax", name, "ns", [tool, "pax"])
        if tree is times:
            # GNU tar writes no default ACL of a name, and bsdtar needs no option.
            options = ["--format=posix", "--xattrs", "--xattrs-include=*", "--acls"]
            archive("gnutar", "posix", name, "ns,xattr,acl", gnu + options + ["."])
            archive("bsdtar", "pax", name, "ns,xattr,acl,minus-floor", bsd + ["--format=pax", "--xattrs", "--acls", "."])
            archive("go", "pax", name, "ns,xattr,acl", [tool, "pax"])
        if tree is sparse:
            archive("gnutar", "oldgnu", name, "", gnu + ["-S", "--format=oldgnu", "."])
            for minor in ["0.0", "0.1", "1.0"]:
                archive("gnutar", f"posix{minor}", name, "", gnu + ["-S", "--format=posix", f"--sparse-version={minor}", "."])
            archive("bsdtar", "pax", name, "", bsd + ["--format=pax", "."])
        with open(os.path.join(HERE, f"{name}.expected"), "w") as out:
            out.writelines(describe(path) + "\n" for path in paths())
    with open(os.path.join(HERE, "archives"), "w") as out:
        out.writelines(line + "\n" for line in made)
    shutil.rmtree(work)


main()
