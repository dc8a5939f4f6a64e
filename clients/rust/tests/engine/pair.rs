//! Two data nodes, of which one leads and the other follows it, and two Sentinels that say which.

use std::collections::HashMap;
use std::mem;

use cachebus::{CacheBus, Source};
use redis::FromRedisValue;

use crate::bus::{PASSWORD, SERVICE, ask, grant_to, load_library};
use crate::process::{HOST, Process};
use crate::wait::until;

pub(crate) const MASTER: &str = "bus-1f0c";

/// A third Sentinel, as which the two are told who leads.
const OTHER_SENTINEL: &str = "9876543210987654321098765432109876543210";

pub(crate) struct Pair {
    pub(crate) leads: Process,
    pub(crate) follows: Process,
    pub(crate) sentinels: [Process; 2],
    /// With what each may do besides what the service may.
    users: Vec<(&'static str, &'static [&'static str])>,
    /// What Sentinels count the changes of the primary by.
    epoch: u64,
}

impl Pair {
    pub(crate) async fn start(library: bool) -> Self {
        let mut pair = Self {
            leads: Process::server(&[]),
            follows: Process::server(&[]),
            sentinels: [Process::sentinel(""), Process::sentinel("")],
            users: Vec::new(),
            epoch: 0,
        };
        pair.admit(SERVICE, &[]).await;
        if library {
            load_library(&mut pair.leads.admin().await).await;
        }
        follow(&pair.follows, &pair.leads).await;
        let port = pair.leads.port.to_string();
        for sentinel in &pair.sentinels {
            let words = ["SENTINEL", "MONITOR", MASTER, HOST, &port, "1"];
            ask(&mut sentinel.admin().await, &words).await;
        }
        pair
    }

    /// Gives a user the service's rights and `more`, from now on on every node.
    pub(crate) async fn admit(&mut self, user: &'static str, more: &'static [&'static str]) {
        for node in [&self.leads, &self.follows] {
            grant_to(user, &mut node.admin().await, more).await;
        }
        let password = format!(">{PASSWORD}");
        let all = ["ACL", "SETUSER", user, "on", &password, "~*", "&*", "+@all"];
        for sentinel in &self.sentinels {
            ask(&mut sentinel.admin().await, &all).await;
        }
        self.users.push((user, more));
    }

    pub(crate) fn client(&self, contract: &serde_json::Value) -> CacheBus {
        CacheBus::open(Source::variables(self.binding(SERVICE, contract))).unwrap()
    }

    /// The variables of a binding.
    pub(crate) fn binding(
        &self,
        user: &str,
        contract: &serde_json::Value,
    ) -> HashMap<String, String> {
        let sentinels = self
            .sentinels
            .each_ref()
            .map(|sentinel| format!("{HOST}:{}", sentinel.port));
        HashMap::from(
            [
                ("CACHEBUS_HOST", HOST.to_owned()),
                ("CACHEBUS_PORT", self.leads.port.to_string()),
                ("CACHEBUS_USERNAME", user.to_owned()),
                ("CACHEBUS_PASSWORD", PASSWORD.to_owned()),
                ("CACHEBUS_SENTINELS", sentinels.join(",")),
                ("CACHEBUS_MASTER_NAME", MASTER.to_owned()),
                ("CACHEBUS_CONTRACT_JSON", contract.to_string()),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }

    /// As the operator does it: writes are held, everything is copied, the other leads, the Sentinels say so, writes go on.
    pub(crate) async fn switch(&mut self) {
        let mut old = self.leads.admin().await;
        ask(&mut old, &["CLIENT", "PAUSE", "10000", "WRITE"]).await;
        until("the replica has everything", async || {
            (offset(&self.leads).await == offset(&self.follows).await).then_some(())
        })
        .await;
        promote(&self.follows).await;
        mem::swap(&mut self.leads, &mut self.follows);
        ask_to_follow(&self.follows, &self.leads).await;
        self.tell().await;
        ask(&mut old, &["CLIENT", "UNPAUSE"]).await;
    }

    /// Ends the connections to who led before, as its agent does.
    pub(crate) async fn bid_farewell(&self) {
        let mut admin = self.follows.admin().await;
        for kind in ["normal", "pubsub"] {
            ask(&mut admin, &["CLIENT", "KILL", "TYPE", kind]).await;
        }
    }

    /// The replica has all of what was written so far, and from some moment on nothing more: that is lost with who leads.
    pub(crate) async fn part(&self) {
        let so_far = offset(&self.leads).await;
        until("the replica has what was written so far", async || {
            (offset(&self.follows).await >= so_far).then_some(())
        })
        .await;
        promote(&self.follows).await;
    }

    /// Who leads comes to an `end`, the other leads in its place, and the Sentinels say so. Returns who led, and does not ask it anything.
    pub(crate) async fn replace(&mut self, end: impl FnOnce(&mut Process)) -> Process {
        let spare = Process::server(&[]);
        for (user, more) in &self.users {
            grant_to(user, &mut spare.admin().await, more).await;
        }
        end(&mut self.leads);
        promote(&self.follows).await;
        let led = mem::replace(&mut self.leads, mem::replace(&mut self.follows, spare));
        self.tell().await;
        led
    }

    /// What has come in the place of one that is gone follows who leads.
    pub(crate) async fn gather(&self) {
        follow(&self.follows, &self.leads).await;
    }

    /// Tells the Sentinels who leads, as one of them tells the others: their epoch rises.
    async fn tell(&mut self) {
        self.epoch += 1;
        let (epoch, port) = (self.epoch, self.leads.port.to_string());
        let hello = format!("{HOST},1,{OTHER_SENTINEL},{epoch},{MASTER},{HOST},{port},{epoch}");
        for sentinel in &self.sentinels {
            let publish = ["PUBLISH", "__sentinel__:hello", &hello];
            ask(&mut sentinel.admin().await, &publish).await;
            until("it names the new primary", async || {
                let state: HashMap<String, String> =
                    told(sentinel, &["SENTINEL", "MASTER", MASTER]).await;
                (state["port"] == port).then_some(())
            })
            .await;
        }
    }
}

/// What a process answers to one who may do everything.
pub(crate) async fn told<T: FromRedisValue>(process: &Process, words: &[&str]) -> T {
    redis::from_redis_value(ask(&mut process.admin().await, words).await).unwrap()
}

async fn promote(node: &Process) {
    ask(&mut node.admin().await, &["REPLICAOF", "NO", "ONE"]).await;
}

async fn ask_to_follow(replica: &Process, primary: &Process) {
    let port = primary.port.to_string();
    ask(&mut replica.admin().await, &["REPLICAOF", HOST, &port]).await;
}

async fn follow(replica: &Process, primary: &Process) {
    ask_to_follow(replica, primary).await;
    until("the replica is linked", async || {
        let info: String = told(replica, &["INFO", "replication"]).await;
        info.contains("master_link_status:up").then_some(())
    })
    .await;
}

/// How much a node has written or copied, in bytes.
async fn offset(process: &Process) -> u64 {
    let info: String = told(process, &["INFO", "replication"]).await;
    let mut lines = info.lines();
    let offset = lines.find_map(|line| line.strip_prefix("master_repl_offset:"));
    offset.unwrap().trim().parse().unwrap()
}
