//! Which key is of which keyspace, as the [rights](crate::acl) have it: that with the longest literal beginning that the key begins
//! with, if the key is of its form.

use crate::acl::Template;
use crate::protocol::CountedKeyspace;
use std::collections::BTreeMap;

/// Between the end of a count and the begin of the next.
pub const PAUSE_MS: u64 = 60_000;
/// Keys that one call of `SCAN` looks at, about: the server does nothing else meanwhile.
pub const LOOKED_AT: usize = 1_000;
/// Calls of `SCAN` at each look at the server: a million keys take four minutes.
pub const AT_ONCE: usize = 4;

/// Keyspaces, by their templates.
#[derive(Clone, Debug, Default)]
pub struct Keyspaces(Vec<Template>);

impl Keyspaces {
    /// Keyspaces with these templates, of the form that the schema allows.
    pub fn new<'a>(templates: impl IntoIterator<Item = &'a str>) -> Self {
        Self(templates.into_iter().map(Template::parse).collect())
    }

    /// The place among them of the one that a key is of, where it is of any. O(keyspaces).
    #[must_use]
    pub fn of(&self, key: &[u8]) -> Option<usize> {
        let longest = self.0.iter().filter_map(|template| template.claim(key));
        let longest = longest.max()?;
        self.0
            .iter()
            .position(|template| template.claim(key) == Some(longest) && template.matches(key))
    }
}

/// A count of keys by keyspace.
#[derive(Clone, Debug)]
pub struct Census {
    counted: Vec<CountedKeyspace>,
    keyspaces: Keyspaces,
    keys: Vec<u64>,
}

impl Census {
    /// No key has been seen yet.
    #[must_use]
    pub fn new(counted: &[CountedKeyspace]) -> Self {
        let keys = counted.iter().map(|keyspace| keyspace.key.as_str());
        Self {
            keyspaces: Keyspaces::new(keys),
            keys: vec![0; counted.len()],
            counted: counted.to_vec(),
        }
    }

    /// Whether these are the keyspaces of which keys are counted.
    #[must_use]
    pub fn is_of(&self, keyspaces: &[CountedKeyspace]) -> bool {
        self.counted == keyspaces
    }

    /// Counts a key, if it is of one of them.
    pub fn saw(&mut self, key: &[u8]) {
        let place = self.keyspaces.of(key);
        if let Some(keys) = place.and_then(|place| self.keys.get_mut(place)) {
            *keys += 1;
        }
    }

    /// Keys by the names of their keyspaces.
    #[must_use]
    pub fn result(self) -> BTreeMap<String, u64> {
        let names = self.counted.into_iter().map(|keyspace| keyspace.name);
        names.zip(self.keys).collect()
    }
}

#[cfg(test)]
mod tests;
