//! One keyspace for all functions with the attribute `cached` that name it: they share its loads.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::keyspace::Keyspace;
use crate::error::Result;

type AnyKeyspace = Box<dyn Any + Send + Sync>;

/// Keyspaces by their names and the types of their values.
#[derive(Default)]
pub(super) struct Shared {
    keyspaces: Mutex<HashMap<(String, TypeId), AnyKeyspace>>,
}

impl Shared {
    /// The keyspace of this name and type; `make` is called for the first who asks.
    pub(super) fn keyspace<V: Send + Sync + 'static>(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Keyspace<V>>,
    ) -> Result<Keyspace<V>> {
        let place = (name.to_owned(), TypeId::of::<V>());
        let mut keyspaces = self
            .keyspaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = keyspaces.get(&place);
        if let Some(keyspace) = known.and_then(|known| known.downcast_ref::<Keyspace<V>>()) {
            return Ok(keyspace.clone());
        }
        let keyspace = make()?;
        keyspaces.insert(place, Box::new(keyspace.clone()));
        Ok(keyspace)
    }
}
