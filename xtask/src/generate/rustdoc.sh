#!/bin/sh
# rustdoc of the pinned toolchain, which may print JSON: it alone, for who sets this for the compiler has everything built anew.
RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
