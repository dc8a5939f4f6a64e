//! The keys of a keyspace that are there.

use futures::stream::{self, Stream};

use super::keyspace::Keyspace;
use crate::command::Command;
use crate::connection::Repeat;
use crate::error::Result;
use crate::keys::Parts;

/// Keys that a server looks at for one `SCAN`.
const SCAN_COUNT: usize = 500;

impl<V> Keyspace<V> {
    /// Keys whose parts match, some at a time; of some it may say more than once that they are there. O(all keys of the server). Needs
    /// the right `scan`.
    pub(super) fn matching(
        &self,
        parts: impl Into<Parts>,
    ) -> Result<impl Stream<Item = Result<Vec<Vec<u8>>>>> {
        let contract = self.connection.contract();
        let template = contract.keyspace(&self.name)?.template.clone();
        let pattern = template.pattern(parts)?;
        let connection = self.connection.clone();
        let begun = Some((0_u64, connection.generation()));
        Ok(stream::try_unfold(begun, move |place| {
            let (connection, template) = (connection.clone(), template.clone());
            let pattern = pattern.clone();
            async move {
                let Some((cursor, generation)) = place else {
                    return Ok(None);
                };
                let scan = Command::new("SCAN").arg(cursor);
                let scan = scan.arg("MATCH").arg(pattern);
                let scan = scan.arg("COUNT").arg(SCAN_COUNT);
                let (next, mut found): (u64, Vec<Vec<u8>>) =
                    connection.call(scan, Repeat::Safe).await?;
                let now = connection.generation();
                if now != generation {
                    // Cursors of one server say nothing to another.
                    return Ok(Some((Vec::new(), Some((0, now)))));
                }
                // Globs let a placeholder span colons: keys of others are left alone.
                found.retain(|key| template.matches(&String::from_utf8_lossy(key)));
                Ok(Some((found, (next != 0).then_some((next, generation)))))
            }
        }))
    }
}
