//! What the scenarios and their client inside the cluster agree on.

pub mod cells;
pub mod dataset;
pub mod deliveries;
pub mod history;
