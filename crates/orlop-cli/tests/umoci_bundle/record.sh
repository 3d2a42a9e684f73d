#!/usr/bin/env bash
# Runs the proofs about bundles beside a umoci that is not the installed one, and writes down how each ended.
#
#   crates/orlop-cli/tests/umoci_bundle/record.sh UMOCI    as root; UMOCI is the path of the program
set -uo pipefail
umoci=$(readlink -f "${1:?the path of a umoci}")
cd "$(dirname "$(readlink -f "$0")")" || exit
version=$("$umoci" --version | sed -n 's/^umoci version \([0-9.]*\).*/\1/p')
{
    echo "umoci $version"
    ORLOP_UMOCI=$umoci cargo test -p orlop-cli --test umoci_bundle 2>/dev/null | sed -n 's/^test \(.*\) \.\.\. /\1 /p' | sort
} >"recorded-$version.txt"
! grep -q FAILED "recorded-$version.txt"
