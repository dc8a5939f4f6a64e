//! Whether and to whom a lead is handed over, and that no failure on the way leaves two primaries or loses a write.
#![allow(clippy::unwrap_used)]
// Cases read better when what goes into an optional field is one already.
#![allow(clippy::unnecessary_wraps)]

mod common;
#[path = "handover/failover.rs"]
mod failover;
#[path = "handover/judge.rs"]
mod judge;
#[path = "handover/scene.rs"]
mod scene;
#[path = "handover/seen.rs"]
mod seen;
#[path = "handover/steps.rs"]
mod steps;
#[path = "handover/world.rs"]
mod world;
