//! Leadership among operator pods by a Lease, so that as a rule one acts.
//!
//! The rules are those of client-go's `leaderelection`. A Lease is free when its holder was not seen to renew it for the
//! Lease's duration, measured on the observer's own clock, so the clocks of nodes need not agree. Every write names the
//! version that it replaces, so of two candidates one wins. A leader that cannot renew counts itself out before the Lease
//! is free to others.
//!
//! Nothing rests on there being exactly one leader: what is intended is recorded by compare-and-swap, and agents refuse
//! orders of an older epoch.

use crate::settings::Settings;
use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, ResourceExt as _};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

/// How long a Lease outlives its last renewal.
const DURATION: Duration = Duration::from_secs(10);
/// How long a leader outlives its last renewal: shorter, so that it has ended when another begins.
const DEADLINE: Duration = Duration::from_secs(7);
/// Between two renewals.
const RENEWAL: Duration = Duration::from_secs(3);
/// After an attempt that failed.
const RETRY: Duration = Duration::from_secs(1);
/// For a candidate's attempt to take the Lease, or a leader's to give it back.
const ATTEMPT: Duration = Duration::from_secs(3);

/// The candidacy of this process.
pub enum Leadership {
    /// By a Lease.
    Lease {
        /// Whether this process holds it.
        holds: watch::Receiver<bool>,
        /// Takes and renews it, and gives it back when nobody listens any more.
        keeper: JoinHandle<()>,
    },
    /// Leadership was not asked for: this process acts alone.
    Alone,
}

impl Leadership {
    /// Runs for leadership, for as long as it takes: an API server that is away is waited for.
    pub fn candidate(client: Client, settings: &Settings) -> Self {
        if settings.no_leader_election {
            return Self::Alone;
        }
        let namespace = settings
            .lease_namespace
            .as_ref()
            .unwrap_or(&settings.pod_namespace);
        let election = Election {
            api: Api::namespaced(client, namespace),
            name: settings.lease_name.clone(),
            identity: settings.pod_name.clone(),
        };
        let (sender, holds) = watch::channel(false);
        Self::Lease {
            holds,
            keeper: tokio::spawn(election.run(sender)),
        }
    }

    /// Returns when this process leads. `false`: it never will.
    pub async fn won(&mut self) -> bool {
        match self {
            Self::Lease { holds, .. } => holds.wait_for(|holds| *holds).await.is_ok(),
            Self::Alone => true,
        }
    }

    /// Returns when this process has lost the leadership that it had.
    pub async fn lost(&mut self) {
        match self {
            Self::Lease { holds, .. } => {
                // An error means that nobody renews the Lease any more, which is the same.
                let _ = holds.wait_for(|holds| !*holds).await;
            }
            Self::Alone => std::future::pending().await,
        }
    }

    /// Gives the leadership back, so that the next process need not wait for the Lease to run out.
    pub async fn resign(self) {
        let Self::Lease { holds, keeper } = self else {
            return;
        };
        drop(holds);
        if let Err(error) = keeper.await {
            tracing::warn!(%error, "the Lease was not given back");
        }
    }
}

struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
}

/// A candidate's last look at the Lease.
struct Seen {
    /// `None`: there is none.
    version: Option<String>,
    /// When it may be taken.
    free_at: Instant,
}

/// The Lease as this process last wrote it.
struct Held {
    lease: Lease,
    /// When that write was sent.
    since: Instant,
}

impl Election {
    /// Leads once, and tells so, until leadership is lost or nobody listens.
    async fn run(self, holds: watch::Sender<bool>) {
        let reign = async {
            let held = self.win().await;
            holds.send_replace(true);
            self.reign(held).await;
            holds.send_replace(false);
        };
        tokio::select! {
            () = reign => {}
            () = holds.closed() => {}
        }
        match timeout(ATTEMPT, self.resign()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the Lease was not given back"),
            Err(_) => tracing::warn!("the Lease was not given back in time"),
        }
    }

    /// Returns when this candidate holds the Lease.
    async fn win(&self) -> Held {
        let mut changes = pin!(watch_object(self.api.clone(), &self.name).default_backoff());
        let mut seen = Seen {
            version: None,
            free_at: Instant::now(),
        };
        loop {
            tokio::select! {
                Some(change) = changes.next() => match change {
                    Ok(lease) => { self.look(&mut seen, lease.as_ref()); }
                    // The watch is tried again; until then the Lease is read when it should be free.
                    Err(error) => tracing::debug!(%error, "the Lease is not watched"),
                },
                () = sleep_until(seen.free_at) => {
                    let since = Instant::now();
                    match timeout(ATTEMPT, self.take(&mut seen)).await {
                        Ok(Ok(Some(lease))) => return Held { lease, since },
                        Ok(Ok(None)) => {}
                        Ok(Err(error)) => {
                            tracing::warn!(%error, "cannot run for leadership yet");
                            seen.free_at = Instant::now() + RETRY;
                        }
                        Err(_) => {
                            tracing::warn!("cannot run for leadership yet: no answer");
                            seen.free_at = Instant::now() + RETRY;
                        }
                    }
                }
            }
        }
    }

    /// Remembers when the Lease will be free, if it is another than was seen. Says whether it is free now.
    fn look(&self, seen: &mut Seen, lease: Option<&Lease>) -> bool {
        let version = lease.and_then(Lease::resource_version);
        if version != seen.version {
            let other = lease
                .and_then(holder)
                .is_some_and(|holder| *holder != self.identity);
            seen.version = version;
            seen.free_at = Instant::now();
            if other {
                seen.free_at += lease.and_then(duration).unwrap_or(DURATION);
            }
        }
        seen.free_at <= Instant::now()
    }

    /// Takes the Lease if it is still free. `None`: it is not.
    async fn take(&self, seen: &mut Seen) -> kube::Result<Option<Lease>> {
        let current = self.api.get_opt(&self.name).await?;
        if !self.look(seen, current.as_ref()) {
            return Ok(None);
        }
        let now = MicroTime(Timestamp::now());
        let before = current.as_ref().and_then(|lease| lease.spec.as_ref());
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(
                before
                    .and_then(|spec| spec.lease_transitions)
                    .map_or(0, |transitions| transitions.saturating_add(1)),
            ),
            ..LeaseSpec::default()
        };
        let metadata = match current {
            Some(lease) => lease.metadata,
            None => ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
        };
        let exists = metadata.resource_version.is_some();
        let (parameters, spec) = (PostParams::default(), Some(spec));
        let lease = Lease { metadata, spec };
        if exists {
            self.api.replace(&self.name, &parameters, &lease).await
        } else {
            self.api.create(&parameters, &lease).await
        }
        .map(Some)
    }

    /// Renews the Lease until that fails for too long, or somebody else holds it.
    async fn reign(&self, mut held: Held) {
        let mut next = held.since + RENEWAL;
        loop {
            sleep_until(next).await;
            let (since, end) = (Instant::now(), held.since + DEADLINE);
            match timeout_at(end.min(since + ATTEMPT), self.renew(&held.lease)).await {
                Ok(Ok(Some(lease))) => {
                    held = Held { lease, since };
                    next = since + RENEWAL;
                    continue;
                }
                Ok(Ok(None)) => return tracing::warn!("another process took the Lease"),
                Ok(Err(error)) => tracing::warn!(%error, "the Lease is not renewed"),
                Err(_) => tracing::warn!("the Lease is not renewed: no answer"),
            }
            next = Instant::now() + RETRY;
            if next >= end {
                return;
            }
        }
    }

    /// Renews the Lease. `None`: it is somebody else's.
    async fn renew(&self, lease: &Lease) -> kube::Result<Option<Lease>> {
        match self.replace(lease).await {
            Err(kube::Error::Api(status)) if status.is_conflict() => {
                // Perhaps by a write of our own whose answer was lost.
                let current = self.api.get(&self.name).await?;
                if holder(&current) == Some(&self.identity) {
                    self.replace(&current).await.map(Some)
                } else {
                    Ok(None)
                }
            }
            result => result.map(Some),
        }
    }

    async fn replace(&self, lease: &Lease) -> kube::Result<Lease> {
        let mut lease = lease.clone();
        let spec = lease.spec.get_or_insert_default();
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        let parameters = PostParams::default();
        self.api.replace(&self.name, &parameters, &lease).await
    }

    /// Frees the Lease if it is ours.
    async fn resign(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return Ok(());
        };
        if holder(&lease) == Some(&self.identity) {
            if let Some(spec) = &mut lease.spec {
                spec.holder_identity = None;
            }
            let parameters = PostParams::default();
            self.api.replace(&self.name, &parameters, &lease).await?;
        }
        Ok(())
    }
}

fn holder(lease: &Lease) -> Option<&String> {
    let holder = lease.spec.as_ref()?.holder_identity.as_ref();
    holder.filter(|holder| !holder.is_empty())
}

fn duration(lease: &Lease) -> Option<Duration> {
    let seconds = lease.spec.as_ref()?.lease_duration_seconds?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{DEADLINE, DURATION, Election, Leadership};
    use crate::testing::Api;
    use serde_json::json;
    use tokio::sync::watch;
    use tokio::time::{Duration, Instant, timeout};

    const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/cachebus";

    fn candidate(api: &Api, identity: &str) -> Leadership {
        let election = Election {
            api: kube::Api::namespaced(api.client(), "system"),
            name: "cachebus".to_owned(),
            identity: identity.to_owned(),
        };
        let (sender, holds) = watch::channel(false);
        let keeper = tokio::spawn(election.run(sender));
        Leadership::Lease { holds, keeper }
    }

    fn holder(api: &Api) -> String {
        let lease = api.get("leases", "cachebus").unwrap();
        lease["spec"]["holderIdentity"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_two_leads_and_the_other_follows_when_it_resigns() {
        let api = Api::default();
        let mut first = candidate(&api, "first");
        assert!(first.won().await);
        let mut second = candidate(&api, "second");
        let long = DURATION * 10;
        assert!(timeout(long, second.won()).await.is_err());
        assert_eq!(holder(&api), "first");
        first.resign().await;
        assert_eq!(holder(&api), "");
        assert!(timeout(DURATION * 2, second.won()).await.unwrap());
        assert_eq!(holder(&api), "second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_cannot_renew_ends_before_another_begins() {
        let api = Api::default();
        let mut first = candidate(&api, "first");
        assert!(first.won().await);
        api.fail("leases");
        let cut_off = Instant::now();
        first.lost().await;
        assert!(cut_off.elapsed() <= DEADLINE);
        // It could not give the Lease back either.
        assert_eq!(holder(&api), "first");
        api.recover();
        let mut second = candidate(&api, "second");
        assert!(second.won().await);
        assert!(cut_off.elapsed() >= DURATION);
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_failure_does_not_end_leadership() {
        let api = Api::default();
        let mut first = candidate(&api, "first");
        assert!(first.won().await);
        for _ in 0..5 {
            api.fail("leases");
            assert!(
                timeout(Duration::from_secs(3), first.lost()).await.is_err(),
                "lost"
            );
            api.recover();
            assert!(
                timeout(Duration::from_secs(5), first.lost()).await.is_err(),
                "lost"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_away_is_waited_for() {
        let api = Api::default();
        api.fail("leases");
        let mut first = candidate(&api, "first");
        assert!(timeout(DURATION * 60, first.won()).await.is_err());
        api.recover();
        assert!(timeout(DURATION, first.won()).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_somebody_else_took_is_lost() {
        let api = Api::default();
        let mut first = candidate(&api, "first");
        assert!(first.won().await);
        api.change("leases", "cachebus", |lease| {
            lease["spec"]["holderIdentity"] = json!("second");
        });
        first.lost().await;
        assert_eq!(holder(&api), "second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_takes_over_what_its_own_pod_held() {
        let api = Api::default();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "cachebus", "namespace": "system"},
            "spec": {"holderIdentity": "first", "leaseDurationSeconds": 10},
        });
        api.put(PATH, lease);
        let started = Instant::now();
        assert!(candidate(&api, "first").won().await);
        assert!(started.elapsed() < DURATION);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_differs_changes_nothing() {
        let api = Api::default();
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "cachebus", "namespace": "system"},
            "spec": {
                "holderIdentity": "first", "leaseDurationSeconds": 10,
                "renewTime": "2001-01-01T00:00:00.000000Z",
            },
        });
        api.put(PATH, lease);
        let started = Instant::now();
        assert!(candidate(&api, "second").won().await);
        assert!(started.elapsed() >= DURATION);
    }
}
