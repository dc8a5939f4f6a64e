//! Being asked to end.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Requests to end the agent and its server. The first one is gentle; a second one, while the server still ends, is not.
#[derive(Debug)]
pub struct Stop(mpsc::Receiver<()>);

/// Asks the agent that holds the other half to end.
#[derive(Clone, Debug)]
pub struct Stopper(mpsc::Sender<()>);

impl Stop {
    /// Two connected halves.
    #[must_use]
    pub fn channel() -> (Stopper, Self) {
        let (sender, receiver) = mpsc::channel(2);
        (Stopper(sender), Self(receiver))
    }

    /// Each SIGTERM and each SIGINT is a request. PID 1 has no default handlers: without this, neither would do anything.
    pub(crate) fn on_signals() -> std::io::Result<Self> {
        let (stopper, stop) = Self::channel();
        let terminate = signal(SignalKind::terminate())?;
        let interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(relay(terminate, stopper.clone()));
        tokio::spawn(relay(interrupt, stopper));
        Ok(stop)
    }

    /// Resolves at the next request. Never, when nobody is left who could ask.
    pub(crate) async fn asked(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

impl Stopper {
    /// Asks once.
    pub async fn ask(&self) {
        // A receiver that is gone has nothing left to end.
        let _ = self.0.send(()).await;
    }
}

async fn relay(mut signals: Signal, stopper: Stopper) {
    while signals.recv().await.is_some() {
        stopper.ask().await;
    }
}
