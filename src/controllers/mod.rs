//! One controller for each kind of object that people write.

pub mod cachebus;
