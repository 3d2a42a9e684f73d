# What cases insert: files, a link, modes and times that an image keeps.
set -e
umask 022
mkdir -p source/folder/deep
printf 'content\n' >source/folder/file
printf '#!/bin/sh\n' >source/folder/deep/script
chmod 0755 source/folder/deep/script
ln -s ../file source/folder/deep/link
printf 'alone\n' >source/alone
touch -h -d '2000-01-02 03:04:05 UTC' source/folder/file source/folder/deep/script source/folder/deep/link source/alone
touch -d '2000-01-02 03:04:05 UTC' source/folder/deep source/folder source
