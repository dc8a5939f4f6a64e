//! What the operator is told at its start, by flags or by environment.

#[cfg(feature = "fault-points")]
use crate::fault::FaultPoint;
use cachebus_core::bus::Platform;
use clap::Args;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What the operator is told at its start.
#[derive(Clone, Debug, Args)]
pub struct Settings {
    /// DNS domain of the cluster.
    #[arg(long, env = "CACHEBUS_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Image that holds this program; each bus's pods take their agent from it.
    #[arg(long, env = "CACHEBUS_AGENT_IMAGE")]
    pub agent_image: String,
    /// When kubelet pulls the agent's image. Default: Kubernetes' own rule.
    #[arg(long, env = "CACHEBUS_AGENT_PULL_POLICY", default_value = "")]
    pub agent_pull_policy: String,
    /// Engine images by `<kind>-<version>`: a JSON object, or `redis-8.0=image,valkey-9.1=image`.
    #[arg(long, env = "CACHEBUS_ENGINE_IMAGES", value_parser = images, default_value = "{}")]
    pub engine_images: Images,
    /// Namespaces in which buses are served, separated by commas. Default: all.
    #[arg(long, env = "CACHEBUS_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Address of `/metrics`, `/healthz` and `/readyz`.
    #[arg(long, env = "CACHEBUS_HTTP_BIND", default_value = "0.0.0.0:8080")]
    pub http_bind: SocketAddr,
    /// Name of the Lease by which operator pods agree on the one that acts.
    #[arg(long, env = "CACHEBUS_LEASE_NAME", default_value = "cachebus")]
    pub lease_name: String,
    /// Namespace of the Lease. Default: the operator's own.
    #[arg(long, env = "CACHEBUS_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    /// Acts without a Lease; for one operator at most.
    #[arg(long, env = "CACHEBUS_NO_LEADER_ELECTION")]
    pub no_leader_election: bool,
    /// Name of the operator's pod; it signs Leases and Events.
    #[arg(long, env = "POD_NAME", default_value = "cachebus")]
    pub pod_name: String,
    /// Namespace of the operator's pod.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub pod_namespace: String,
    /// Point at which the process ends, for tests of what a crash leaves behind.
    #[cfg(feature = "fault-points")]
    #[arg(long, env = "CACHEBUS_FAULT_POINT", value_enum)]
    pub fault_point: Option<FaultPoint>,
}

impl Settings {
    /// What the core has to know of the cluster and the operator.
    pub fn platform(&self) -> Platform {
        Platform {
            domain: self.cluster_domain.clone(),
            agent_image: self.agent_image.clone(),
            agent_pull_policy: self.agent_pull_policy.clone(),
            engine_images: self.engine_images.0.clone(),
            operator_namespace: self.pod_namespace.clone(),
        }
    }

    /// The namespaces to serve, each by watches of its own; `None`: all by one.
    pub fn scopes(&self) -> Vec<Option<String>> {
        let named: Vec<_> = self
            .watch_namespaces
            .iter()
            .map(|namespace| namespace.trim())
            .filter(|namespace| !namespace.is_empty())
            .map(|namespace| Some(namespace.to_owned()))
            .collect();
        if named.is_empty() { vec![None] } else { named }
    }
}

/// Images by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Images(BTreeMap<String, String>);

fn images(text: &str) -> Result<Images, String> {
    let text = text.trim();
    if text.starts_with('{') {
        return serde_json::from_str(text)
            .map(Images)
            .map_err(|error| error.to_string());
    }
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            pair.split_once('=')
                .map(|(key, image)| (key.trim().to_owned(), image.trim().to_owned()))
                .ok_or_else(|| format!("`{pair}` is no <kind>-<version>=<image>"))
        })
        .collect::<Result<_, _>>()
        .map(Images)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Settings, images};
    use clap::{Args as _, Command, FromArgMatches as _};

    fn settings(args: &[&str]) -> Result<Settings, clap::Error> {
        let command = Settings::augment_args(Command::new("operator"));
        let matches = command.try_get_matches_from([&["operator"], args].concat())?;
        Settings::from_arg_matches(&matches)
    }

    #[test]
    fn engine_images_are_read_in_both_forms() {
        let json = images(r#"{"redis-8.0":"r:8","valkey-9.1":"v:9"}"#).unwrap();
        assert_eq!(images("redis-8.0=r:8,valkey-9.1=v:9").unwrap(), json);
        assert!(images("redis-8.0").unwrap_err().contains("redis-8.0"));
        assert!(images("{").is_err());
    }

    #[test]
    fn empty_namespaces_mean_all_of_them() {
        let all = settings(&["--agent-image=i", "--watch-namespaces="]).unwrap();
        assert_eq!(all.scopes(), [None]);
        let some = settings(&["--agent-image=i", "--watch-namespaces=a,b"]).unwrap();
        assert_eq!(some.scopes(), [Some("a".to_owned()), Some("b".to_owned())]);
    }

    #[test]
    fn only_the_builds_of_the_lab_can_be_told_to_end() {
        let armed = settings(&["--agent-image=i", "--fault-point=planned"]);
        assert_eq!(armed.is_ok(), cfg!(feature = "fault-points"));
    }
}
