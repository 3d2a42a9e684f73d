#
#  Licensed under the Apache License, Version 2.0 or the MIT license, at your option.
#
"""BuildStream plugins for OCI container images, driven by the program ``orlop``."""
