//! What a pass over a bus works with.

use crate::agents::Agents;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::polls::Polls;
use crate::watches::Stores;
use cachebus_core::bus::Platform;
use kube::Client;
use kube::runtime::events::Reporter;

/// What a pass over a bus works with.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What is known of the cluster without asking.
    pub stores: Stores,
    /// The agents of the pods.
    pub agents: Agents,
    /// What asks for passes when agents have news.
    pub polls: Polls,
    /// What the operator was told at its start.
    pub platform: Platform,
    /// What is remembered between passes.
    pub memory: Memory,
    /// Who publishes Events.
    pub reporter: Reporter,
    /// What is counted.
    pub metrics: Metrics,
}
