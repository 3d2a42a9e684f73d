# As much of Buildroot as its fs/oci needs: TREE/fs/oci/oci.mk is included unchanged, and `make image` runs what it
# would put into the fakeroot script. Options come in as variables; strings keep their double quotes, as in .config.
qstrip = $(strip $(subst ",,$(1)))
# "
rootfs =

include $(TREE)/fs/oci/oci.mk

image: ; $(ROOTFS_OCI_CMD)
