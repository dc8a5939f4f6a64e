//! The plan, the seal, the status and the Events, case by case.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// Cases read better when what goes into an optional field is one already.
#![allow(clippy::unnecessary_wraps)]

#[path = "plan/backups.rs"]
mod backups;
#[path = "plan/certificates.rs"]
mod certificates;
#[path = "plan/choice.rs"]
mod choice;
mod common;
#[path = "plan/electorate.rs"]
mod electorate;
#[path = "plan/events.rs"]
mod events;
#[path = "plan/failover.rs"]
mod failover;
#[path = "plan/flush.rs"]
mod flush;
#[path = "plan/ghosts.rs"]
mod ghosts;
#[path = "plan/handover.rs"]
mod handover;
#[path = "plan/last_failover.rs"]
mod last_failover;
#[path = "plan/marker.rs"]
mod marker;
#[path = "plan/mounts.rs"]
mod mounts;
#[path = "plan/overruled.rs"]
mod overruled;
#[path = "plan/parity.rs"]
mod parity;
#[path = "plan/rest.rs"]
mod rest;
#[path = "plan/restoring.rs"]
mod restoring;
#[path = "plan/rollout.rs"]
mod rollout;
#[path = "plan/rollout_run.rs"]
mod rollout_run;
#[path = "plan/rollout_world.rs"]
mod rollout_world;
#[path = "plan/routes.rs"]
mod routes;
#[path = "plan/scene.rs"]
mod scene;
#[path = "plan/seal.rs"]
mod seal;
#[path = "plan/sentinels.rs"]
mod sentinels;
#[path = "plan/skew.rs"]
mod skew;
#[path = "plan/spoilt.rs"]
mod spoilt;
#[path = "plan/status.rs"]
mod status;
#[path = "plan/steps.rs"]
mod steps;
#[path = "plan/storage.rs"]
mod storage;
