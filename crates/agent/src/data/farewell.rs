//! Ending the connections of clients that take this server for the primary, which it is no more.
//!
//! Engines keep them when a server begins to follow. Sentinels end them when they demote one. But a client that comes back by
//! way of the Service may find it leading here for another moment, and would stay for good on a server that refuses its
//! writes. So they are ended at once, whoever demoted the server, and once more when the routes have moved.

use cachebus_core::protocol::Phase;
use std::time::Duration;
use tokio::time::Instant;

/// Time for the routes to move: the operator hears of the switch and writes them, and each node's proxy takes up changes once
/// a second.
const ROUTES_MOVE: Duration = Duration::from_secs(3);

/// Whether connections are to be ended, and when.
#[derive(Debug, Default)]
pub(super) struct Farewell {
    /// It was last seen to lead.
    led: bool,
    /// When they are to be ended, soonest first.
    rounds: Vec<Instant>,
}

impl Farewell {
    /// Takes note of where the server stands.
    pub(super) fn saw(&mut self, phase: &Phase) {
        match phase {
            Phase::Leading => {
                self.led = true;
                self.rounds.clear();
            }
            Phase::Sealed | Phase::Following(_) if self.led => {
                self.led = false;
                let now = Instant::now();
                self.rounds = vec![now, now + ROUTES_MOVE];
            }
            Phase::Sealed
            | Phase::Following(_)
            | Phase::Down
            | Phase::Holding
            | Phase::Loading
            | Phase::Unknown => {}
        }
    }

    /// The lead was handed over in good order: who writes is told so by the server. Only those who say nothing are ended, once
    /// the routes have moved.
    pub(super) fn handed_over(&mut self) {
        self.led = false;
        self.rounds = vec![Instant::now() + ROUTES_MOVE];
    }

    /// Whether connections are to be ended now.
    pub(super) fn is_due(&self) -> bool {
        self.rounds.first().is_some_and(|at| *at <= Instant::now())
    }

    /// They have been ended.
    pub(super) fn is_done(&mut self) {
        let now = Instant::now();
        self.rounds.retain(|at| *at > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follows() -> Phase {
        Phase::Following("b-redis-1".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn clients_of_a_demoted_server_are_ended_at_once_and_when_the_routes_have_moved() {
        let mut farewell = Farewell::default();
        farewell.saw(&Phase::Leading);
        assert!(!farewell.is_due());
        // One late answer in between changes nothing.
        farewell.saw(&Phase::Down);
        farewell.saw(&follows());
        assert!(farewell.is_due());
        farewell.is_done();
        farewell.saw(&follows());
        assert!(!farewell.is_due());
        tokio::time::advance(ROUTES_MOVE).await;
        assert!(farewell.is_due());
        farewell.is_done();
        tokio::time::advance(ROUTES_MOVE * 10).await;
        assert!(!farewell.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_handover_they_are_ended_only_when_the_routes_have_moved() {
        let mut farewell = Farewell::default();
        farewell.saw(&Phase::Leading);
        farewell.handed_over();
        farewell.saw(&follows());
        assert!(!farewell.is_due());
        tokio::time::advance(ROUTES_MOVE).await;
        assert!(farewell.is_due());
    }

    #[tokio::test(start_paused = true)]
    async fn clients_of_a_replica_and_of_a_primary_are_left_alone() {
        let mut farewell = Farewell::default();
        farewell.saw(&Phase::Sealed);
        farewell.saw(&follows());
        assert!(!farewell.is_due());
        farewell.saw(&Phase::Leading);
        farewell.saw(&follows());
        farewell.is_done();
        farewell.saw(&Phase::Leading);
        tokio::time::advance(ROUTES_MOVE).await;
        assert!(!farewell.is_due());
    }
}
