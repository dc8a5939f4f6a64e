//! The scenarios. Each proves one thing on the cluster; rows are those of the project's issue and of the list of known failures.

mod agent;
mod agents_alone;
mod api_server_away;
mod backup;
mod contract;
mod drain;
mod drift;
mod emptied_primary;
mod engines;
mod events;
mod failover_history;
mod fault_points;
mod faults;
mod fenced;
mod functions;
mod healing;
mod hibernate;
mod invalid_spec;
mod leader_killed;
mod node_lost;
mod one_namespace;
mod policies;
mod removed_service;
mod rights;
mod rollout;
mod sample;
mod secrets;
mod sentinels;
mod snapshots_only;
mod steady_state;
mod storage;
mod switch_followed;
mod switchover;
mod three_buses;
mod tls_modes;
mod total_restart;
mod wrong_manifests;

use futures::future::BoxFuture;

use crate::lab::Lab;

/// One scenario.
pub struct Scenario {
    pub name: &'static str,
    /// What it proves, in one sentence.
    pub proves: &'static str,
    /// It stops, replaces or measures the operator: nothing else may run meanwhile.
    pub alone: bool,
    /// Of these the short form runs every fourth, beginning with another by the seed: all of them would take longer than one wants
    /// to wait for.
    pub by_turns: bool,
    pub run: fn(Lab) -> BoxFuture<'static, anyhow::Result<()>>,
}

/// Every scenario, those first that find the most at once.
pub const ALL: &[&Scenario] = &[
    &sample::SCENARIO,
    &engines::SCENARIO,
    &contract::SCENARIO,
    &total_restart::SCENARIO,
    &emptied_primary::SCENARIO,
    &tls_modes::SCENARIO,
    &three_buses::SCENARIO,
    &wrong_manifests::SCENARIO,
    &invalid_spec::SCENARIO,
    &drift::SCENARIO,
    &secrets::SCENARIO,
    &removed_service::SCENARIO,
    &healing::SCENARIO,
    &sentinels::SCENARIO,
    &switch_followed::SCENARIO,
    &fenced::SCENARIO,
    &functions::SCENARIO,
    &hibernate::SCENARIO,
    &backup::SCENARIO,
    &storage::SCENARIO,
    &failover_history::SCENARIO,
    &switchover::SCENARIO,
    &rollout::SCENARIO,
    &agent::SCENARIO,
    &snapshots_only::SCENARIO,
    &agents_alone::SCENARIO,
    &api_server_away::SCENARIO,
    &policies::SCENARIO,
    &one_namespace::SCENARIO,
    &leader_killed::SCENARIO,
    &fault_points::SCENARIO,
    &drain::SCENARIO,
    &node_lost::SCENARIO,
    &events::SCENARIO,
    &faults::SCENARIO,
    &steady_state::SCENARIO,
    // Looks at what all those before it asked for.
    &rights::SCENARIO,
];
