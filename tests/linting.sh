#!/bin/sh
# The compiler that `make test` compiles the crate with (RUSTC_WORKSPACE_WRAPPER): rustc with clippy's lints, where a warning is an error.
exec clippy-driver "$@" -D warnings
