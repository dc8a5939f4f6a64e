//! What the compiled users may and may not do.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod engine;
mod keys;
mod rights;
mod sentinels;

use cachebus_core::acl::{AclFiles, files};
use cachebus_core::bus::Bus;
use cachebus_core::credentials::{Password, StoredSecrets, settle};

/// The ACL files of a bus with some passwords.
fn compiled(bus: &Bus) -> AclFiles {
    let mut number = 0;
    let credentials = settle(bus, &StoredSecrets::default(), &mut || {
        number += 1;
        Password::new(format!("{number:032}"))
    });
    files(bus, &credentials)
}
