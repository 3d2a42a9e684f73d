#!/bin/sh
# Records what skopeo's `ostree:` writes, into keeping/ociimage.txt: each file of a repository, its path and its bytes in base64.
#
#   record-ociimage.sh ORLOP
#
# Debian's skopeo is built without that transport, but its source is packaged. On bookworm:
#   apt-get install golang-go golang-github-containers-image-dev golang-github-ostreedev-ostree-go-dev \
#     libostree-dev libselinux1-dev ostree
# Recorded with containers/image 5.23.1 and libostree 2022.7. There its target lacks what an embedded field gives it; that is
# put in before it is built. Ids differ from run to run: commits have the time at which they were made.
set -eu
orlop=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir -p go/src/github.com/containers go/src/judge tmp
cp -a /usr/share/gocode/src/github.com/containers/image go/src/github.com/containers/
sed -i 's/^\tcompat impl.Compat$/\timpl.Compat/' go/src/github.com/containers/image/ostree/ostree_dest.go
echo "module judge" > go/src/judge/go.mod
cat > go/src/judge/main.go <<'GO'
package main

import (
	"context"
	"os"

	"github.com/containers/image/v5/copy"
	"github.com/containers/image/v5/oci/layout"
	"github.com/containers/image/v5/ostree"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/types"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	rule := signature.NewPRInsecureAcceptAnything()
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: []signature.PolicyRequirement{rule}})
	check(err)
	from, err := layout.Transport.ParseReference(os.Args[1])
	check(err)
	to, err := ostree.Transport.ParseReference(os.Args[2])
	check(err)
	system := &types.SystemContext{OSTreeTmpDirPath: os.Args[3]}
	_, err = copy.Image(context.Background(), policy, to, from, &copy.Options{SourceCtx: system, DestinationCtx: system})
	check(err)
}
GO
(cd go/src/judge && GO111MODULE=off GOPATH="$work/go:/usr/share/gocode" GOCACHE="$work/cache" go build -tags \
  "containers_image_ostree containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper" -o ../../judge .)

mkdir -p lower/d/deep upper/d
echo "of the base" > lower/a
ln lower/a lower/hard
ln -s a lower/soft
: > lower/empty
echo deep > lower/d/deep/x
echo upper > upper/d/y
"$orlop" build --created=2001-02-03T04:05:06Z --progress=none lower oci:lay:base
"$orlop" build --created=2001-02-03T04:05:06Z --progress=none --base=oci:lay:base upper oci:lay:app
ostree init --repo=r --mode=archive
go/judge lay:app "h.example/app:1@$work/r" tmp
(cd r && find config objects refs -type f | LC_ALL=C sort | while read -r file; do
  echo "$file $(base64 -w0 "$file")"
done) > "$here/keeping/ociimage.txt"
