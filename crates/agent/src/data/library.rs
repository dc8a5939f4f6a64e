//! The function library: a server that leads is made to serve the one of this agent.
//!
//! It is looked at when the server begins to lead, when what it says of itself shows that somebody has changed its libraries,
//! and now and then. It is written only where it is another one than it should be.

use crate::error::AgentError;
use cachebus_admin::{Error, Info, Server};
use cachebus_core::functions::{
    LIBRARY, NAME, Trace, Verdict, pause_ms, refused, verdict, version,
};
use cachebus_core::protocol::LibraryStatus;
use std::time::Duration;
use tokio::time::Instant;

/// For how long a library that must not be loaded yet is left, before it is looked at again.
const LATER: Duration = Duration::from_secs(1);

/// What is known of the library of a server that leads.
#[derive(Debug, Default)]
pub(super) struct Library {
    status: Option<LibraryStatus>,
    /// What the server said of itself when it was last looked at.
    trace: Trace,
    /// When it is looked at again; `None`: at once.
    again: Option<Instant>,
    /// Refusals in a row.
    refusals: u32,
}

impl Library {
    pub(super) fn status(&self) -> Option<&LibraryStatus> {
        self.status.as_ref()
    }

    fn is_due(&self, trace: &Trace) -> bool {
        // A refused attempt leaves a trace, too.
        let heard = self.refusals == 0 && self.trace != *trace;
        heard || self.again.is_none_or(|again| Instant::now() >= again)
    }

    fn found(&mut self, served: Option<&str>) {
        self.refusals = 0;
        self.again = Some(Instant::now() + Duration::from_millis(pause_ms(0)));
        self.status = Some(LibraryStatus {
            version: served.and_then(version).map(str::to_owned),
            refused: None,
        });
    }

    /// Sees to it that the server serves the library.
    pub(super) async fn keep(
        &mut self,
        server: &Server,
        info: &Info,
        may_write: bool,
    ) -> Result<(), AgentError> {
        let trace = Trace::of(&info.raw);
        if !self.is_due(&trace) {
            return Ok(());
        }
        self.trace = trace;
        // What fails otherwise than by a refusal ends the connection, and is tried again by the next one.
        self.again = Some(Instant::now() + LATER);
        look(self, server, may_write).await
    }

    /// Takes note of a refusal, and passes on what is none.
    fn failed(&mut self, served: Option<&str>, error: Error) -> Result<(), AgentError> {
        let Error::Refused { code, message, .. } = &error else {
            return Err(error.into());
        };
        let why = refused(code, message);
        let before = self
            .status
            .as_ref()
            .and_then(|status| status.refused.as_ref());
        if before.map(|before| &before.reason) != Some(&why.reason) {
            tracing::warn!(%error, reason = why.reason, "the function library is not loaded");
        }
        self.refusals = self.refusals.saturating_add(1);
        self.again = Some(Instant::now() + Duration::from_millis(pause_ms(self.refusals)));
        self.status = Some(LibraryStatus {
            version: served.and_then(version).map(str::to_owned),
            refused: Some(why),
        });
        Ok(())
    }
}

async fn look(library: &mut Library, server: &Server, may_write: bool) -> Result<(), AgentError> {
    let functions = server.functions();
    let found = match functions.code(NAME).await {
        Ok(found) => found,
        Err(error) => return library.failed(None, error),
    };
    let found = found.as_deref();
    match verdict(found) {
        Verdict::Stay => library.found(found),
        Verdict::Load if may_write => match functions.load(LIBRARY).await {
            Ok(()) => {
                let (before, now) = (found.and_then(version), version(LIBRARY));
                tracing::info!(before, now, "the function library is loaded");
                library.found(Some(LIBRARY));
            }
            Err(error) => return library.failed(found, error),
        },
        Verdict::Load => {}
    }
    Ok(())
}
