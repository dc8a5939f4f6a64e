//! Acknowledgments of entries, in one call where several come at the same time.

use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::events::entry::Entry;
use crate::events::group::Group;

/// Those of one consumer, by their channel's place.
pub(super) struct Acknowledgments {
    channels: Vec<Gathered>,
}

impl Acknowledgments {
    pub(super) fn new(group: &Group) -> Self {
        let channels = group.channels().iter();
        Self {
            channels: channels.map(|_| Gathered::default()).collect(),
        }
    }

    /// Says that an entry is done with; returns when the server has heard it.
    pub(super) async fn say(&self, group: &Group, entry: &Entry) -> Result<()> {
        let channel = entry.channel;
        let call = async |ids: Vec<String>| group.acknowledge(channel, &ids).await;
        self.channels[channel].say(entry.raw.id(), call).await
    }
}

/// What is said while a call is under way waits for its end, and goes with the next one.
#[derive(Default)]
struct Gathered {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

struct Waiting {
    id: String,
    answer: oneshot::Sender<Result<()>>,
}

impl Gathered {
    async fn say(&self, id: &str, call: impl AsyncFnOnce(Vec<String>) -> Result<()>) -> Result<()> {
        let (answer, mut answered) = oneshot::channel();
        self.waiting().push(Waiting {
            id: id.to_owned(),
            answer,
        });
        tokio::select! {
            biased;
            // Another's call said it.
            answer = &mut answered => return answer.unwrap_or_else(|_| Err(unanswered())),
            _turn = self.turn.lock() => {
                let (ids, answers): (Vec<_>, Vec<_>) = take(&mut *self.waiting())
                    .into_iter()
                    .map(|waiting| (waiting.id, waiting.answer))
                    .unzip();
                let said = call(ids).await;
                for answer in answers {
                    // Whoever ended meanwhile needs none.
                    let _ = answer.send(said.clone());
                }
            }
        }
        answered.await.unwrap_or_else(|_| Err(unanswered()))
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever made the call ended before its answer came.
fn unanswered() -> Error {
    Error::OutcomeUnknown {
        command: "XACK".to_owned(),
        repeatable: true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use tokio::sync::{Notify, Semaphore};
    use tokio::task::JoinSet;

    use super::*;

    /// A server that answers when it is let.
    #[derive(Default)]
    struct Server {
        calls: Mutex<Vec<Vec<String>>>,
        called: Notify,
    }

    impl Server {
        async fn called(&self, ids: Vec<String>, answers: &Semaphore) -> Result<()> {
            self.calls.lock().unwrap().push(ids);
            self.called.notify_one();
            answers.acquire().await.unwrap().forget();
            Ok(())
        }

        fn calls(&self) -> Vec<Vec<String>> {
            self.calls.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn one_goes_at_once_and_what_comes_meanwhile_goes_together() {
        let gathered = Arc::new(Gathered::default());
        let server = Arc::new(Server::default());
        let answers = Arc::new(Semaphore::new(0));
        let mut said = JoinSet::new();
        let mut say = |id: &'static str| {
            let gathered = Arc::clone(&gathered);
            let (server, answers) = (Arc::clone(&server), Arc::clone(&answers));
            said.spawn(async move {
                let call = async |ids| server.called(ids, &answers).await;
                gathered.say(id, call).await.unwrap();
                id
            });
        };
        say("1-0");
        server.called.notified().await;
        for id in ["2-0", "3-0", "4-0"] {
            say(id);
        }
        while gathered.waiting().len() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.calls(), [["1-0"]]);
        answers.add_permits(1);
        server.called.notified().await;
        assert_eq!(said.join_next().await.unwrap().unwrap(), "1-0");
        assert!(said.try_join_next().is_none(), "they are not answered yet");
        answers.add_permits(1);
        said.join_all().await;
        let mut calls = server.calls();
        calls[1].sort_unstable();
        assert_eq!(calls, [vec!["1-0"], vec!["2-0", "3-0", "4-0"]]);
    }

    #[tokio::test]
    async fn all_of_a_call_hear_that_it_failed() {
        let gathered = Gathered::default();
        let hold = gathered.turn.lock().await;
        let fail = async |ids: Vec<String>| -> Result<()> {
            assert_eq!(ids.len(), 2);
            Err(unanswered())
        };
        let all = async { tokio::join!(gathered.say("1-0", &fail), gathered.say("2-0", &fail)) };
        let let_go = async {
            while gathered.waiting().len() < 2 {
                tokio::task::yield_now().await;
            }
            drop(hold);
        };
        let ((first, second), ()) = tokio::join!(all, let_go);
        assert!(first.is_err() && second.is_err());
    }

    #[tokio::test]
    async fn one_that_gives_up_does_not_keep_the_others() {
        let gathered = Gathered::default();
        let never = async |_: Vec<String>| -> Result<()> { std::future::pending().await };
        let given_up = tokio::select! {
            biased;
            said = gathered.say("1-0", never) => Some(said),
            () = tokio::task::yield_now() => None,
        };
        assert!(given_up.is_none());
        let call = async |ids: Vec<String>| -> Result<()> {
            assert_eq!(ids, ["2-0"]);
            Ok(())
        };
        gathered.say("2-0", call).await.unwrap();
    }
}
