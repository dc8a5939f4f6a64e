//! What is rendered for a bus: every object, for the default and for each variant.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod agreement;
mod backups;
mod changes;
mod config;
mod durability;
mod fixture;
mod objects;
mod properties;
mod routes;
mod switches;
mod variants;
