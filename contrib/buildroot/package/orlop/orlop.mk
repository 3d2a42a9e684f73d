################################################################################
#
# orlop
#
################################################################################

ORLOP_VERSION = 0.1.0
ORLOP_SITE = https://example.invalid/orlop/releases
ORLOP_LICENSE = Apache-2.0 or MIT
ORLOP_LICENSE_FILES = LICENSE-APACHE LICENSE-MIT

# The workspace's binary lies in one of its crates.
HOST_ORLOP_SUBDIR = crates/orlop-cli

# The name by which it is called decides how it reads its arguments.
define HOST_ORLOP_INSTALL_SLOCI_IMAGE
	ln -sf orlop $(HOST_DIR)/bin/sloci-image
endef
HOST_ORLOP_POST_INSTALL_HOOKS += HOST_ORLOP_INSTALL_SLOCI_IMAGE

$(eval $(host-cargo-package))
