//! A bus whose primary may hand over, and how it is judged.

use cachebus_core::handover::{Choice, Copy, Own, Scene, Stance, judge};
use cachebus_core::names::{Component, Names};
use cachebus_core::seal::Vote;
use std::time::Duration;

pub(crate) fn names() -> Names {
    Names::new("b", "n", "cluster.local")
}

pub(crate) fn says(pod: &str, epoch: u64) -> Option<Stance> {
    Some(Stance {
        vote: Vote {
            primary_host: names().pod_fqdn(Component::Redis, pod),
            config_epoch: epoch,
        },
        failing_over: false,
        highest_epoch: epoch,
    })
}

pub(crate) fn copy(pod: &str, offset: u64) -> Copy {
    Copy {
        pod: pod.to_owned(),
        leads: false,
        follows: Some("b-redis-0".to_owned()),
        link_up: true,
        loading: false,
        priority: 100,
        history: "h".to_owned(),
        offset,
    }
}

/// The primary, with a replica for each number: seconds since it last acknowledged.
pub(crate) fn own(lags: &[u64]) -> Own {
    let lags = lags.iter().map(|lag| Some(Duration::from_secs(*lag)));
    let pods = ["b-redis-1", "b-redis-2"].map(str::to_owned);
    Own::new("h".to_owned(), pods.into_iter().zip(lags))
}

/// Judges a bus of which `b-redis-0` leads.
pub(crate) struct Bus {
    pub(crate) epoch: u64,
    pub(crate) crashed: bool,
    pub(crate) to: Option<&'static str>,
    pub(crate) stances: Vec<Option<Stance>>,
    pub(crate) copies: Vec<Copy>,
}

pub(crate) fn well() -> Bus {
    Bus {
        epoch: 3,
        crashed: false,
        to: None,
        stances: vec![
            says("b-redis-0", 4),
            says("b-redis-0", 4),
            says("b-redis-0", 4),
        ],
        copies: vec![copy("b-redis-1", 7), copy("b-redis-2", 9)],
    }
}

impl Bus {
    pub(crate) fn with<T>(&self, ask: impl Fn(&Scene<'_>) -> T) -> T {
        ask(&Scene {
            names: &names(),
            pod: "b-redis-0",
            epoch: self.epoch,
            crashed: self.crashed,
            to: self.to,
            stances: &self.stances,
            own: &own(&[1, 1]),
            copies: &self.copies,
        })
    }

    pub(crate) fn judged(&self) -> Result<Choice, String> {
        self.with(judge).map_err(|refused| refused.reason)
    }

    pub(crate) fn chosen(&self) -> String {
        self.judged().unwrap().to
    }
}

/// To the first replica, as [`well`] has them.
pub(crate) fn to_the_first() -> Choice {
    let mut bus = well();
    bus.to = Some("b-redis-1");
    bus.judged().unwrap()
}
