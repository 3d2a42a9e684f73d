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
# A layer as it is.
tar --sort=name --numeric-owner --owner=0 --group=0 -C source -cf layer.tar alone folder
# A root filesystem that knows users.
mkdir -p root/etc
printf 'root:x:0:0::/root:/bin/sh\nworker:x:1000:100::/home/of worker:/bin/sh\n' >root/etc/passwd
printf 'users:x:100:\nextra:x:2000:worker\n' >root/etc/group
