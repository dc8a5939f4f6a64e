//! What chance decides in a test, so that it can decide the same again.

use std::env;

/// The number that `CACHEBUS_TEST_SEED` holds, or any. It is shown where the test fails.
pub(crate) fn seed() -> u64 {
    let given = env::var("CACHEBUS_TEST_SEED").ok();
    let seed = given.map_or_else(|| fastrand::u64(..), |given| given.parse().unwrap());
    eprintln!("CACHEBUS_TEST_SEED={seed}");
    seed
}
