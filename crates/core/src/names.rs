//! Names, ports, paths and labels: the one place where the parts agree on what things are called.

use std::fmt;

/// Port of each agent for probes and metrics, plain HTTP.
pub const HTTP_PORT: u16 = 9121;
/// Port of each agent for the operator, HTTPS with client certificates.
pub const API_PORT: u16 = 9443;

/// Value of `app.kubernetes.io/managed-by` on everything the operator owns, and its field manager.
pub const MANAGER: &str = "cachebus";
/// Label that holds the name of the bus an object belongs to.
pub const BUS_LABEL: &str = "cachebus.dev/bus";
/// Label that tells data pods (`redis`) from Sentinel pods (`sentinel`).
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// Label on data pods for people: `primary` or `replica`.
pub const ROLE_LABEL: &str = "cachebus.dev/role";
/// Annotation of a data pod: what it was last seen to lack of what it mounts.
pub const AWAITS_ANNOTATION: &str = "cachebus.dev/awaits";
/// Label, `true`, of backups that the schedule asked for.
pub const SCHEDULED_LABEL: &str = "cachebus.dev/scheduled";
/// Annotation of a bus by which a person asks for another primary: the name of a data pod, or [`ANY_REPLICA`].
pub const SWITCHOVER_ANNOTATION: &str = "cachebus.dev/switchover";
/// Value of [`SWITCHOVER_ANNOTATION`] that leaves the choice to the primary's agent.
pub const ANY_REPLICA: &str = "any";
/// Annotation of a bus by which a person asks for keyspaces of the cache to be emptied: their names, separated by commas, see
/// [`crate::flush::named`].
pub const FLUSH_ANNOTATION: &str = "cachebus.dev/flush";

/// Name of the claim template, and of the volume in a pod.
pub const DATA_CLAIM: &str = "data";
/// Folder of the data volume.
pub const DATA_DIR: &str = "/data";
/// Folder in memory for rendered configuration.
pub const RUN_DIR: &str = "/run/cachebus";
/// Folder into which the init container copies the agent.
pub const BIN_DIR: &str = "/opt/cachebus";
/// File in [`BIN_DIR`] that the server's pods see as [`ETC_HOSTS`].
pub const HOSTS: &str = "hosts";
/// Where names are looked up before DNS is asked.
pub const ETC_HOSTS: &str = "/etc/hosts";
/// Folder of the ConfigMap: [`AGENT_JSON`], [`REDIS_CONF`], [`SENTINEL_CONF`].
pub const CONFIG_DIR: &str = "/etc/cachebus/config";
/// Folder of the ACL Secret: [`REDIS_ACL`], [`SENTINEL_ACL`].
pub const ACL_DIR: &str = "/etc/cachebus/acl";
/// Folder of the internal passwords: one file for each internal user.
pub const AUTH_DIR: &str = "/etc/cachebus/auth";
/// Folder of the serving certificate: `tls.crt`, `tls.key`, `ca.crt`.
pub const TLS_DIR: &str = "/etc/cachebus/tls";
/// Folder of the credentials of an S3 store: `access-key-id`, `secret-access-key`.
pub const S3_DIR: &str = "/etc/cachebus/s3";
/// Folder of the authorities of an S3 store's certificate: `ca.crt`.
pub const S3_CA_DIR: &str = "/etc/cachebus/s3-ca";
/// Folder of the keys of backups: `recipients`, `identity`.
pub const AGE_DIR: &str = "/etc/cachebus/age";
/// Folder of a volume that backups are stored on.
pub const BACKUP_DIR: &str = "/backup";
/// Folder in which a backup is loaded to prove it.
pub const WORK_DIR: &str = "/work";
/// What an agent has to know of its bus, a [`crate::protocol::AgentConfig`].
pub const AGENT_JSON: &str = "agent.json";
/// Directives of the data nodes, without secrets and without what differs between pods.
pub const REDIS_CONF: &str = "redis.conf";
/// Directives of the Sentinels, likewise.
pub const SENTINEL_CONF: &str = "sentinel.conf";
/// ACL file of the data nodes.
pub const REDIS_ACL: &str = "redis.acl";
/// ACL file of the Sentinels.
pub const SENTINEL_ACL: &str = "sentinel.acl";
/// Entry of the ConfigMap with the last valid spec, see [`crate::last_valid`].
pub const LAST_VALID: &str = "bus.json";
/// Entry of the credentials Secret with the second copy of the authority's certificate. No user's name has a dot.
pub const AUTHORITY_COPY: &str = "ca.crt";
/// Entry of the credentials Secret with the second copy of the authority's key.
pub const AUTHORITY_KEY_COPY: &str = "ca.key";
/// File beside the data that says whose it is, see [`crate::protocol::Marker`].
pub const MARKER_FILE: &str = "cachebus.json";

/// What a pod runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// A data node.
    Redis,
    /// A Sentinel.
    Sentinel,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "redis",
            Self::Sentinel => "sentinel",
        })
    }
}

/// The names of one bus's objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    bus: String,
    namespace: String,
    domain: String,
}

impl Names {
    /// Names of the bus `bus` in `namespace` of a cluster with this DNS domain (`cluster.local`).
    #[must_use]
    pub fn new(bus: &str, namespace: &str, domain: &str) -> Self {
        Self {
            bus: bus.to_owned(),
            namespace: namespace.to_owned(),
            domain: domain.to_owned(),
        }
    }

    /// The StatefulSet of a component: `<bus>-redis`, `<bus>-sentinel`. Also its PodDisruptionBudget and ServiceAccount.
    #[must_use]
    pub fn workload(&self, component: Component) -> String {
        format!("{}-{component}", self.bus)
    }

    /// The headless Service of a component's pods: `<bus>-redis-nodes`.
    #[must_use]
    pub fn nodes_service(&self, component: Component) -> String {
        format!("{}-{component}-nodes", self.bus)
    }

    /// The pod of a component with this ordinal.
    #[must_use]
    pub fn pod(&self, component: Component, ordinal: u32) -> String {
        format!("{}-{ordinal}", self.workload(component))
    }

    /// The claim of a pod's volume.
    #[must_use]
    pub fn claim(&self, pod: &str) -> String {
        format!("{DATA_CLAIM}-{pod}")
    }

    /// The ServiceAccount and NetworkPolicy of the pods that make and restore backups.
    #[must_use]
    pub fn backups(&self) -> String {
        format!("{}-backup", self.bus)
    }

    /// The pod of a backup.
    #[must_use]
    pub fn backup_pod(&self, backup: &str) -> String {
        format!("{backup}-backup")
    }

    /// The pod that restores the backup that the bus begins with.
    #[must_use]
    pub fn restore_pod(&self) -> String {
        format!("{}-restore", self.bus)
    }

    /// The data pods of a bus with so many replicas.
    pub fn data_pods(&self, replicas: u32) -> impl Iterator<Item = String> {
        (0..=replicas).map(|ordinal| self.pod(Component::Redis, ordinal))
    }

    /// The DNS name that a pod announces. The pod's name decides the component.
    #[must_use]
    pub fn pod_fqdn(&self, component: Component, pod: &str) -> String {
        format!(
            "{pod}.{}.{}.svc.{}",
            self.nodes_service(component),
            self.namespace,
            self.domain
        )
    }

    /// The pod behind an announced DNS name (or a bare pod name), if it is one of this bus's data pods.
    #[must_use]
    pub fn data_pod_of_host(&self, host: &str) -> Option<String> {
        let pod = host.split('.').next()?;
        self.data_ordinal(pod)?;
        (host == pod || host == self.pod_fqdn(Component::Redis, pod)).then(|| pod.to_owned())
    }

    /// The ordinal of one of this bus's data pods.
    #[must_use]
    pub fn data_ordinal(&self, pod: &str) -> Option<u32> {
        let workload = self.workload(Component::Redis);
        pod.strip_prefix(&workload)?.strip_prefix('-')?.parse().ok()
    }

    /// The ordinal of the Sentinel pod behind an announced DNS name (or a bare pod name), if it is one of this bus's.
    #[must_use]
    pub fn sentinel_ordinal(&self, host: &str) -> Option<u32> {
        let pod = host.split('.').next()?;
        let workload = self.workload(Component::Sentinel);
        let ordinal = pod
            .strip_prefix(&workload)?
            .strip_prefix('-')?
            .parse()
            .ok()?;
        (host == pod || host == self.pod_fqdn(Component::Sentinel, pod)).then_some(ordinal)
    }

    /// The Service (and EndpointSlice) that leads to the primary.
    #[must_use]
    pub fn primary_service(&self) -> String {
        format!("{}-primary", self.bus)
    }

    /// The Service (and EndpointSlice) that leads to the replicas.
    #[must_use]
    pub fn replicas_service(&self) -> String {
        format!("{}-replicas", self.bus)
    }

    /// The Service that leads to the Sentinels.
    #[must_use]
    pub fn sentinel_service(&self) -> String {
        format!("{}-sentinel", self.bus)
    }

    /// The DNS name of a Service of the bus.
    #[must_use]
    pub fn service_fqdn(&self, service: &str) -> String {
        format!("{service}.{}.svc.{}", self.namespace, self.domain)
    }

    /// The ConfigMap that every pod of the bus mounts.
    #[must_use]
    pub fn config(&self) -> String {
        format!("{}-config", self.bus)
    }

    /// The ConfigMap with the last valid spec. No pod mounts it.
    #[must_use]
    pub fn last_valid(&self) -> String {
        format!("{}-last-valid", self.bus)
    }

    /// The Secret with every generated password, the source of all others, and the second copy of the authority. No pod
    /// mounts it.
    #[must_use]
    pub fn credentials(&self) -> String {
        format!("{}-credentials", self.bus)
    }

    /// The Secret with the internal passwords that a component's pods mount.
    #[must_use]
    pub fn auth(&self, component: Component) -> String {
        format!("{}-{component}-auth", self.bus)
    }

    /// The Secret with the ACL files (hashes only).
    #[must_use]
    pub fn acl(&self) -> String {
        format!("{}-acl", self.bus)
    }

    /// The Secret with the bus's certificate authority.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("{}-ca", self.bus)
    }

    /// The Secret with the serving certificate of every pod.
    #[must_use]
    pub fn serving_certificate(&self) -> String {
        format!("{}-tls", self.bus)
    }

    /// The Secret with the operator's client certificate.
    #[must_use]
    pub fn operator_certificate(&self) -> String {
        format!("{}-operator-tls", self.bus)
    }

    /// DNS name in the operator's client certificate; agents obey no other.
    #[must_use]
    pub fn operator_identity(&self) -> String {
        format!("operator.{}.{}.cachebus.dev", self.bus, self.namespace)
    }

    /// The Secret of a service in service-binding form. `_` is no character of object names: it becomes `-`.
    #[must_use]
    pub fn binding(&self, service: &str) -> String {
        format!("{}-binding-{}", self.bus, service.replace('_', "-"))
    }

    /// The bus's name.
    #[must_use]
    pub fn bus(&self) -> &str {
        &self.bus
    }

    /// The bus's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The cluster's DNS domain.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

/// The name by which Sentinels know the primary of a bus. It carries the object's UID, so that two buses never merge and
/// a bus that is made again never takes up its predecessor's Sentinels.
#[must_use]
pub fn master_name(bus: &str, uid: &str) -> String {
    format!("{bus}-{uid}")
}
