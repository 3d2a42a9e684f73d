#!/bin/sh
# Asks two peers what they make of each line of cases.txt and writes recorded.jsonl beside it:
#   podman import --change   the command that our --change follows
#   buildah bud              which reads the same line as part of a Dockerfile, with docker's own grammar
# A case of several instructions has ";;" between them. Needs podman, buildah, jq and tar; about 30 seconds.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/context" "$work/root"
tar -cf "$work/root.tar" -C "$work/root" .
podman="podman --root $work/p --runroot $work/pr --storage-driver vfs"
buildah="buildah --root $work/b --runroot $work/br --storage-driver vfs"

# Only what a config holds, nothing empty, nothing that the peer adds by itself.
plain='{User, ExposedPorts, Env, Entrypoint, Cmd, Volumes, WorkingDir, Labels, StopSignal, Healthcheck, OnBuild}
    | if .Labels then .Labels |= del(."io.buildah.version") else . end
    | if .Env then .Env |= map(select(. != "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")) else . end
    | with_entries(select(.value != null and .value != "" and .value != [] and .value != {}))'

ask_podman() {
    set --
    while IFS= read -r instruction; do set -- "$@" --change "$instruction"; done < "$work/instructions"
    $podman import -q "$@" "$work/root.tar" case > /dev/null 2>&1 || { echo '"refused"'; return; }
    $podman image inspect case | jq -cS ".[0] | .Config + {Healthcheck: .HealthCheck} | $plain"
}

ask_buildah() {
    { echo 'FROM scratch'; cat "$work/instructions"; } > "$work/Dockerfile"
    $buildah bud -q --format docker -t case -f "$work/Dockerfile" "$work/context" > /dev/null 2>&1 || { echo '"refused"'; return; }
    $buildah inspect --type image case | jq -cS ".Docker.config | $plain"
}

{
    jq -cn --arg podman "$(podman --version)" --arg buildah "$(buildah --version)" '{$podman, $buildah}'
    grep -v -e '^#' -e '^$' "$here/cases.txt" | while IFS='	' read -r line _; do
        printf '%s\n' "$line" | awk '{ n = split($0, part, / *;; */); for (i = 1; i <= n; i++) print part[i] }' > "$work/instructions"
        jq -cn --arg line "$line" --argjson podman "$(ask_podman < /dev/null)" --argjson buildah "$(ask_buildah < /dev/null)" \
            '{$line, $podman, $buildah}'
    done
} > "$here/recorded.jsonl"
