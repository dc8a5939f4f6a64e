//! What the Sentinel knows of the bus's primary.

use cachebus_admin::{Address, Error, MonitoredMaster, MonitoredReplica, PeerSentinel, Sentinel};
use cachebus_core::protocol::{KnownSentinel, MonitorSettings, Monitored, SILENT_MS};
use std::time::Duration;

/// Asks a Sentinel for all that it knows of a master that it monitors.
pub(super) async fn ask(sentinel: &Sentinel, name: &str) -> Result<Monitored, Error> {
    let master = sentinel.master(name).await?;
    let replicas = sentinel.replicas(name).await?;
    let peers = sentinel.sentinels(name).await?;
    // While it carries a failover out, its entry of the master is that of the old one, and clients are told the new one.
    let told = if master.flags.is_failing_over() {
        sentinel.primary_address(name).await?
    } else {
        None
    };
    let primary = told.unwrap_or_else(|| master.address.clone());
    Ok(report(&master, primary, replicas, peers))
}

/// `primary` is what the Sentinel tells clients.
fn report(
    master: &MonitoredMaster,
    primary: Address,
    replicas: Vec<MonitoredReplica>,
    peers: Vec<PeerSentinel>,
) -> Monitored {
    let failing_over = master.flags.is_failing_over();
    // The flags are those of the old one, which is rightly held for down by now.
    let moved = primary != master.address;
    let down = master.flags.is_subjectively_down() || master.flags.is_objectively_down();
    Monitored {
        settings: settings(master),
        down: down && !moved,
        failing_over,
        promoting: failing_over && !moved,
        config_epoch: master.config_epoch,
        quorum: master.quorum,
        host: primary.host,
        port: primary.port,
        replicas: replicas
            .into_iter()
            .filter(|replica| !replica.flags.is_subjectively_down())
            .map(|replica| replica.address.host)
            .collect(),
        known: peers.iter().map(known).collect(),
        peers: peers
            .into_iter()
            .filter(|peer| !peer.flags.is_subjectively_down())
            .map(|peer| peer.address.host)
            .collect(),
    }
}

fn known(peer: &PeerSentinel) -> KnownSentinel {
    KnownSentinel {
        host: peer.address.host.clone(),
        run_id: peer.run_id.clone(),
        silent: peer.flags.is_subjectively_down()
            && peer.last_hello >= Duration::from_millis(SILENT_MS),
    }
}

pub(super) fn settings(master: &MonitoredMaster) -> MonitorSettings {
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    MonitorSettings {
        down_after_ms: milliseconds(master.down_after),
        failover_timeout_ms: milliseconds(master.failover_timeout),
        parallel_syncs: master.parallel_syncs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cachebus_admin::Flags;

    fn told(flags: &str, primary: &str) -> Monitored {
        let master = MonitoredMaster {
            name: "b".to_owned(),
            address: Address::new("old", 1),
            run_id: String::new(),
            flags: Flags::parse(flags),
            role_reported: "master".to_owned(),
            config_epoch: 1,
            quorum: 2,
            num_replicas: 0,
            num_other_sentinels: 0,
            down_after: Duration::ZERO,
            failover_timeout: Duration::ZERO,
            parallel_syncs: 1,
            last_ok_ping_reply: Duration::ZERO,
            info_refresh: Duration::ZERO,
        };
        report(&master, Address::new(primary, 1), Vec::new(), Vec::new())
    }

    #[test]
    fn a_failover_promotes_until_clients_are_told_of_another() {
        let state = |told: Monitored| (told.down, told.failing_over, told.promoting);
        let flags = "master,s_down,o_down,failover_in_progress";
        assert_eq!(state(told("master", "old")), (false, false, false));
        assert_eq!(state(told("master,s_down", "old")), (true, false, false));
        assert_eq!(state(told(flags, "old")), (true, true, true));
        assert_eq!(state(told(flags, "new")), (false, true, false));
        assert_eq!(told(flags, "new").host, "new");
    }
}
