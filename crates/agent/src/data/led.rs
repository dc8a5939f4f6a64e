//! What is looked after on a server that leads, a little at each look. Nothing of it is known of one that does not.

use super::DataAgent;
use super::flush::Flush;
use super::keyspaces::Counts;
use super::library::Library;
use super::running::Running;
use super::streams::Streams;
use crate::error::AgentError;
use cachebus_admin::Error;
use cachebus_core::protocol::{HandoverOutcome, Phase};
use cachebus_core::seal::just_promoted;
use std::time::Duration;

/// For how long one look goes on with work that can wait, on a server that is slow.
pub(super) const IN_ONE_GO: Duration = Duration::from_millis(100);

/// What is known of a server that leads.
#[derive(Debug)]
pub(super) struct Led {
    pub(super) library: Library,
    pub(super) streams: Streams,
    pub(super) flush: Flush,
    pub(super) counts: Counts,
}

impl Led {
    pub(super) fn new() -> Self {
        Self {
            library: Library::default(),
            streams: Streams::new(),
            flush: Flush::default(),
            counts: Counts::default(),
        }
    }
}

impl DataAgent {
    /// Looks after a server that leads, and forgets what was known of one that does no more.
    pub(super) async fn look_after_led(&mut self) -> Result<(), AgentError> {
        let leads = self.phase() == Phase::Leading;
        let may_write = self.may_write();
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        if !leads {
            running.led = Led::new();
            return Ok(());
        }
        let Running {
            connection: Some(server),
            info,
            led,
            ..
        } = running
        else {
            return Ok(());
        };
        let config = &self.site.config;
        if let Some(info) = info {
            led.library.keep(server, info, may_write).await?;
        }
        led.streams.keep(server, &config.events, may_write).await?;
        if may_write {
            led.flush.go_on(server).await?;
        }
        led.counts.keep(server, &config.keyspaces).await
    }

    /// Whether the data may be written to beside the clients: nobody else can come to lead at this moment, and no copy that was just
    /// promoted is made to differ from one that may yet take the lead back.
    pub(super) fn may_write(&self) -> bool {
        let handing_over = self
            .handover
            .as_ref()
            .is_some_and(|handover| handover.outcome == HandoverOutcome::Running);
        let promoted = self.running.as_ref().and_then(Running::promoted);
        !self.stopping && !handing_over && self.fenced().is_none() && !just_promoted(promoted)
    }
}

/// Tells what the server refuses from what leaves no use of the connection.
pub(super) fn refusal(error: Error) -> Result<AgentError, AgentError> {
    if error.needs_reconnect() {
        return Err(error.into());
    }
    Ok(error.into())
}
