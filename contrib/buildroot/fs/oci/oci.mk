################################################################################
#
# Build the OCI image
#
################################################################################

ROOTFS_OCI_DEPENDENCIES = host-orlop

# A string of the configuration is also a string of the shell: it stands in
# double quotes, with \" inside. Those that are lists hold shell words, such as
#     "foo \"1  2\" 'a b' c\\ d"
# and are split into words by the shell that runs the command, one option each.
OCI_LISTS = \
	entrypoint=BR2_TARGET_ROOTFS_OCI_ENTRYPOINT \
	cmd=BR2_TARGET_ROOTFS_OCI_CMD \
	label=BR2_TARGET_ROOTFS_OCI_LABELS \
	env=BR2_TARGET_ROOTFS_OCI_ENV_VARS \
	port=BR2_TARGET_ROOTFS_OCI_PORTS \
	volume=BR2_TARGET_ROOTFS_OCI_VOLUMES

# $(1): option=SYMBOL
oci-list = words=$(or $($(lastword $(subst =, ,$(1)))),""); \
	eval "for word in $$words; do set -- \"\$$@\" --$(firstword $(subst =, ,$(1))) \"\$$word\"; done"

# $(1): option, $(2): value; nothing where the value is empty
oci-option = $(if $(call qstrip,$(2)),--$(1) $(2))

OCI_TAG = $(or $(call qstrip,$(BR2_TARGET_ROOTFS_OCI_TAG)),latest)

# Go's names for the architecture and, on arm alone, its variant.
OCI_OPTS = \
	--arch $(GO_GOARCH) \
	$(if $(GO_GOARM),--arch-variant v$(GO_GOARM)) \
	$(call oci-option,author,$(BR2_TARGET_ROOTFS_OCI_AUTHOR)) \
	$(call oci-option,user,$(BR2_TARGET_ROOTFS_OCI_UID)) \
	$(call oci-option,working-dir,$(BR2_TARGET_ROOTFS_OCI_WORKDIR)) \
	$(if $(BR2_TARGET_ROOTFS_OCI_ARCHIVE),--tar)

define ROOTFS_OCI_CMD
	rm -rf $(BINARIES_DIR)/rootfs-oci
	set -f -- $(OCI_OPTS); \
	$(foreach list,$(OCI_LISTS),$(call oci-list,$(list)); )\
	$(HOST_DIR)/bin/sloci-image "$$@" $(TARGET_DIR) \
		$(BINARIES_DIR)/rootfs-oci:$(OCI_TAG)
endef

$(eval $(rootfs))
