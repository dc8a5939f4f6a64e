//! Keyspaces: what an agent is told of them.

use serde::{Deserialize, Serialize};

/// A keyspace, whose keys are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountedKeyspace {
    /// Its name.
    pub name: String,
    /// Its template.
    pub key: String,
}
