//! What the operator may do at the API server: exactly what its code does, to which unit tests and the scenario `rights` hold
//! it. The chart's roles are generated from this.

/// What may be done with one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// API group; empty: the core group.
    pub group: &'static str,
    /// Resource, with its subresource: `cachebuses/status`.
    pub resource: &'static str,
    /// Verbs, in alphabetical order.
    pub verbs: &'static [&'static str],
    /// What for.
    pub why: &'static str,
}

/// `get`: before a name is taken for the first time, it is asked whose it is. `create` and `patch`: server-side apply.
const OWNED: &[&str] = &["create", "get", "list", "patch", "watch"];

/// Rights in every namespace that is served.
pub const RULES: &[Rule] = &[
    Rule {
        group: "cachebus.dev",
        resource: "cachebuses",
        verbs: &["get", "list", "patch", "watch"],
        why: "buses are followed; before a pod is told to lead, the record is read once more; a request for a switchover or a flush is taken off when it is answered",
    },
    Rule {
        group: "cachebus.dev",
        resource: "cachebuses/status",
        verbs: &["patch", "update"],
        why: "intents and conditions are written; an object that cannot be read gets its condition by a patch",
    },
    Rule {
        group: "cachebus.dev",
        resource: "cachebuses/finalizers",
        verbs: &["update"],
        why: "clusters that check it demand this of whoever names a bus as the owner of an object",
    },
    Rule {
        group: "cachebus.dev",
        resource: "cachebusbackups",
        verbs: &["create", "delete", "list", "watch"],
        why: "backups are followed; those of a schedule are made, and deleted when they have outlived themselves",
    },
    Rule {
        group: "cachebus.dev",
        resource: "cachebusbackups/status",
        verbs: &["update"],
        why: "how far a backup is",
    },
    Rule {
        group: "",
        resource: "secrets",
        verbs: &["create", "delete", "get", "list", "patch", "watch"],
        why: "passwords, certificates and users of buses; the Secret of a service that is gone is deleted",
    },
    Rule {
        group: "",
        resource: "configmaps",
        verbs: OWNED,
        why: "configuration of the pods; the last valid spec, read where the present one is invalid",
    },
    Rule {
        group: "",
        resource: "services",
        verbs: OWNED,
        why: "names of pods and of the primary, the replicas and the Sentinels",
    },
    Rule {
        group: "",
        resource: "serviceaccounts",
        verbs: OWNED,
        why: "identities of the pods, without rights",
    },
    Rule {
        group: "",
        resource: "pods",
        verbs: &["create", "delete", "list", "patch", "watch"],
        why: "pods are followed, and restarted in a rollout; data pods are labelled with their role; those of backups are made and deleted",
    },
    Rule {
        group: "",
        resource: "persistentvolumeclaims",
        verbs: &["create"],
        why: "the volume that a backup is restored to, before there is a pod for it",
    },
    Rule {
        group: "apps",
        resource: "statefulsets",
        verbs: &["create", "delete", "get", "list", "patch", "watch"],
        why: "data and Sentinel pods; one whose claim template changes is deleted without its pods, and made anew",
    },
    Rule {
        group: "",
        resource: "persistentvolumeclaims",
        verbs: &["delete", "list", "patch", "watch"],
        why: "volumes grow by their claims; a volume that cannot grow, or is lost with its node, is given up with its claim",
    },
    Rule {
        group: "discovery.k8s.io",
        resource: "endpointslices",
        verbs: OWNED,
        why: "where the Services of the primary and the replicas lead",
    },
    Rule {
        group: "networking.k8s.io",
        resource: "networkpolicies",
        verbs: OWNED,
        why: "who reaches the pods",
    },
    Rule {
        group: "policy",
        resource: "poddisruptionbudgets",
        verbs: OWNED,
        why: "a drain takes one pod at a time",
    },
    Rule {
        group: "events.k8s.io",
        resource: "events",
        verbs: &["create"],
        why: "Events on buses, one for each transition",
    },
];

/// Rights in the whole cluster, where all its namespaces are served. Where one is missing, a condition says what cannot be told.
pub const CLUSTER_RULES: &[Rule] = &[
    Rule {
        group: "storage.k8s.io",
        resource: "storageclasses",
        verbs: &["get"],
        why: "whether a volume that is to grow can",
    },
    Rule {
        group: "",
        resource: "persistentvolumes",
        verbs: &["get"],
        why: "on which node the volume lies that a pod without a node waits for",
    },
    Rule {
        group: "",
        resource: "nodes",
        verbs: &["list"],
        why: "whether that node is gone",
    },
];

/// Rights in the operator's own namespace: in the one Lease that the chart names, and to make it, which cannot be bound to a
/// name.
pub const LEADER_RULES: &[Rule] = &[Rule {
    group: "coordination.k8s.io",
    resource: "leases",
    verbs: &["create", "get", "list", "update", "watch"],
    why: "one operator pod acts at a time",
}];
