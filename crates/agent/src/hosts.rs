//! Where the bus's pods are, for a server that looks it up: kept in a file, so that no server waits for DNS.
//!
//! Servers look names up in the one thread that does everything, a Sentinel at each word of another and whenever it connects. Where
//! a DNS server is silent, as one on a node that has gone, such a question stops it for seconds; and a Sentinel that was stopped for
//! more than two does nothing for thirty (TILT), just when the primary that went with that node has to be replaced.

use crate::site::Site;
use cachebus_core::names::Component;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// Between two rounds of questions: a pod that is replaced is known by its new address so much later. It is less than DNS is asked by
/// Sentinels that find nothing here.
const PAUSE: Duration = Duration::from_secs(2);

/// Follows what the lines of the agent are.
const MARK: &str = "# The pods of the bus, kept by its agent:\n";

/// Keeps the addresses of all pods of the bus in the pod's hosts file, forever. One that is not known, or that DNS says is not there,
/// is left out, and looked up as ever; where DNS says nothing, what it said last is kept.
pub(crate) async fn keep(mut site: Site) {
    let resolver = match resolver() {
        Ok(resolver) => resolver,
        Err(error) => {
            tracing::warn!(%error, "servers ask DNS themselves: its servers are not known");
            return;
        }
    };
    let (mut addresses, mut written) = (BTreeMap::new(), BTreeMap::new());
    loop {
        // A file that is not whole yet is read the next time.
        let _ = site.refresh();
        let names = names(&site);
        addresses.retain(|name, _| names.contains(name));
        let asked = names.into_iter().map(async |name| {
            let found = ask(&resolver, &name).await;
            (name, found)
        });
        let mut asked: FuturesUnordered<_> = asked.collect();
        while let Some((name, found)) = asked.next().await {
            match found {
                Some(found) if found.is_empty() => {
                    addresses.remove(&name);
                }
                Some(found) => {
                    addresses.insert(name, found);
                }
                None => {}
            }
            if addresses != written {
                if let Err(error) = write(&site.layout.hosts, &addresses) {
                    tracing::warn!(%error, file = %site.layout.hosts.display(), "servers ask DNS themselves: the file cannot be written");
                    return;
                }
                written.clone_from(&addresses);
            }
        }
        sleep(PAUSE).await;
    }
}

/// By the DNS servers of the pod alone: what the file says is what is to be found out.
fn resolver() -> Result<TokioResolver, NetError> {
    let mut builder = TokioResolver::builder_tokio()?;
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options.timeout = Duration::from_secs(1);
    builder.build()
}

/// The addresses of a name; none where DNS says so, `None` where it says nothing.
async fn ask(resolver: &TokioResolver, name: &str) -> Option<Vec<Ipv4Addr>> {
    // The last dot: no domain of the pod's search list is tried.
    match resolver.ipv4_lookup(format!("{name}.")).await {
        Ok(found) => {
            let addresses = found
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::A(address) => Some(address.0),
                    _ => None,
                });
            let mut found: Vec<Ipv4Addr> = addresses.collect();
            found.sort_unstable();
            Some(found)
        }
        Err(error) if error.is_no_records_found() => Some(Vec::new()),
        Err(_) => None,
    }
}

/// The names that pods of the bus announce.
fn names(site: &Site) -> Vec<String> {
    let data = site.names.data_pods(site.config.replicas);
    data.map(|pod| site.names.pod_fqdn(Component::Redis, &pod))
        .chain(site.config.sentinels.iter().cloned())
        .collect()
}

/// Puts them behind what kubelet wrote. In place: whoever looks meanwhile and misses a name asks DNS, and another file of that name
/// would not be seen by the server.
fn write(path: &Path, addresses: &BTreeMap<String, Vec<Ipv4Addr>>) -> io::Result<()> {
    let text = with_lines(&fs::read_to_string(path)?, addresses);
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))
}

fn with_lines(before: &str, addresses: &BTreeMap<String, Vec<Ipv4Addr>>) -> String {
    let own = before.split_once(MARK).map_or(before, |(own, _)| own);
    let lines = addresses.iter().flat_map(|(name, addresses)| {
        let line = move |address: &Ipv4Addr| format!("{address} {name}\n");
        addresses.iter().map(line)
    });
    let lines: String = lines.collect();
    let gap = if own.ends_with('\n') || own.is_empty() {
        ""
    } else {
        "\n"
    };
    format!("{own}{gap}{MARK}{lines}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KUBELETS: &str = "127.0.0.1 localhost\n10.0.0.1 b-redis-0.b.n.svc.x b-redis-0\n";

    fn at(name: &str, address: [u8; 4]) -> (String, Vec<Ipv4Addr>) {
        (name.to_owned(), vec![Ipv4Addr::from(address)])
    }

    #[test]
    fn pods_follow_what_kubelet_wrote_each_time_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        fs::write(&path, KUBELETS).unwrap();

        let two = BTreeMap::from([
            at("b-redis-0.x", [10, 0, 0, 1]),
            at("b-redis-1.x", [10, 0, 0, 2]),
        ]);
        write(&path, &two).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{KUBELETS}{MARK}10.0.0.1 b-redis-0.x\n10.0.0.2 b-redis-1.x\n")
        );

        let one = BTreeMap::from([at("b-redis-1.x", [10, 0, 0, 3])]);
        write(&path, &one).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{KUBELETS}{MARK}10.0.0.3 b-redis-1.x\n")
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");

        assert!(write(&path, &BTreeMap::new()).is_err());
        assert!(!path.exists());
    }
}
