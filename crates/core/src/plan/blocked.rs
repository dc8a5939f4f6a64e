//! Why a bus does not get further.

/// Why nothing more can be done for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Stable, one word, one of [`reason`].
    pub reason: &'static str,
    /// For people: what is missing and on what.
    pub message: String,
}

impl Blocked {
    pub(super) fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message }
    }
}

/// Stable reasons of a [`Blocked`].
pub mod reason {
    /// A pod does not exist, is being deleted, or does not run yet.
    pub const POD_MISSING: &str = "PodMissing";
    /// The agent of a running pod does not answer.
    pub const POD_UNREACHABLE: &str = "PodUnreachable";
    /// A pod serves another bus of the same name: what a deleted bus has left behind.
    pub const FOREIGN_POD: &str = "ForeignPod";
    /// The bus is hibernated, and pods are still there.
    pub const STOPPING: &str = "Stopping";
    /// A data node is being started, or reads its files.
    pub const LOADING: &str = "Loading";
    /// A replica is not in sync with the primary yet.
    pub const SYNCING: &str = "Syncing";
    /// Sentinels are changing the primary, or bringing its replicas to it.
    pub const FAILOVER_RUNNING: &str = "FailoverRunning";
    /// The lead is being handed over.
    pub const HANDOVER_RUNNING: &str = "HandoverRunning";
    /// The primary must be chosen, and not every copy of the data has reported.
    pub const WAITING_FOR_COPIES: &str = "WaitingForCopies";
    /// The primary must be chosen, no copy with data has reported, and a missing one may have it.
    pub const NO_DATASET: &str = "NoDataset";
    /// The bus begins with a backup, which is being restored.
    pub const RESTORING: &str = "Restoring";
    /// The bus begins with a backup, which could not be restored yet.
    pub const RESTORE_FAILED: &str = "RestoreFailed";
    /// The bus begins with a backup, and the volumes hold none: they are empty, or an earlier bus of its name left them.
    pub const NOT_RESTORED: &str = "NotRestored";
    /// The primary must be chosen, and too few Sentinels answer to know whether they name one.
    pub const SENTINELS_UNREACHABLE: &str = "SentinelsUnreachable";
    /// The primary does not lead at the moment, or its agent does not answer while its replicas are linked to it.
    pub const PRIMARY_UNREACHABLE: &str = "PrimaryUnreachable";
    /// The pod that was chosen as primary does not answer; it may have begun to lead.
    pub const TARGET_UNREACHABLE: &str = "TargetUnreachable";
    /// Sentinels name a pod that has lost its dataset; they have time to move on by themselves.
    pub const PRIMARY_LOST_DATA: &str = "PrimaryLostData";
    /// Sentinels name a pod that follows another, and nobody leads; they have time to change that by themselves.
    pub const PRIMARY_FOLLOWS: &str = "PrimaryFollows";
    /// Sentinels are told of the primary once its replicas are linked, so that they find them at once.
    pub const WAITING_FOR_REPLICAS: &str = "WaitingForReplicas";
    /// A Sentinel does not answer yet.
    pub const SENTINEL_STARTING: &str = "SentinelStarting";
    /// A Sentinel names another primary than the majority or the record.
    pub const SENTINEL_DISAGREES: &str = "SentinelDisagrees";
    /// A Sentinel holds the primary for down.
    pub const SENTINEL_SEES_PRIMARY_DOWN: &str = "SentinelSeesPrimaryDown";
    /// A Sentinel does not know all replicas and all other Sentinels yet.
    pub const SENTINEL_UNACQUAINTED: &str = "SentinelUnacquainted";
    /// A Sentinel counts others that are gone: a failover needs more votes than it should.
    pub const GHOSTS_KNOWN: &str = "GhostsKnown";
    /// Sentinels join or leave one at a time.
    pub const SCALING_SENTINELS: &str = "ScalingSentinels";
    /// Pods are being restarted one by one, to run what the spec asks for.
    pub const ROLLING_OUT: &str = "RollingOut";
    /// Pods owe a restart that must wait.
    pub const ROLLOUT_HALTED: &str = "RolloutHalted";
    /// Volumes are being made larger.
    pub const VOLUMES_GROWING: &str = "VolumesGrowing";
    /// A volume would have to be replaced and holds the only copy of the data.
    pub const ONLY_COPY: &str = "OnlyCopy";
    /// The node of a volume is gone, and nobody leads from whom its data could come.
    pub const VOLUME_LOST: &str = "VolumeLost";
    /// The operator may not read what tells whether a volume can grow, or is lost with its node.
    pub const VOLUME_UNKNOWN: &str = "VolumeUnknown";
    /// The primary runs in a pod that is one more than the spec asks for, and cannot hand over.
    pub const PRIMARY_BEYOND_REPLICAS: &str = "PrimaryBeyondReplicas";
    /// The key of the bus's authority is lost: nothing can be signed while what it signed is served.
    pub const AUTHORITY_LOST: &str = "AuthorityLost";
    /// The name of one of the bus's objects is taken by somebody else's.
    pub const NAME_CONFLICT: &str = "NameConflict";
    /// The API server refuses one of the bus's objects.
    pub const REJECTED: &str = "Rejected";
    /// An agent refuses an order: what it knows contradicts it.
    pub const ORDER_REFUSED: &str = "OrderRefused";
    /// An order did not reach its agent, or the agent failed at it.
    pub const ORDER_FAILED: &str = "OrderFailed";

    /// Every one of them.
    pub const ALL: &[&str] = &[
        POD_MISSING,
        POD_UNREACHABLE,
        FOREIGN_POD,
        LOADING,
        SYNCING,
        FAILOVER_RUNNING,
        HANDOVER_RUNNING,
        WAITING_FOR_COPIES,
        NO_DATASET,
        RESTORING,
        RESTORE_FAILED,
        NOT_RESTORED,
        SENTINELS_UNREACHABLE,
        PRIMARY_UNREACHABLE,
        TARGET_UNREACHABLE,
        PRIMARY_LOST_DATA,
        PRIMARY_FOLLOWS,
        WAITING_FOR_REPLICAS,
        SENTINEL_STARTING,
        SENTINEL_DISAGREES,
        SENTINEL_SEES_PRIMARY_DOWN,
        SENTINEL_UNACQUAINTED,
        GHOSTS_KNOWN,
        SCALING_SENTINELS,
        AUTHORITY_LOST,
        NAME_CONFLICT,
        REJECTED,
        ORDER_REFUSED,
        ORDER_FAILED,
        PRIMARY_BEYOND_REPLICAS,
        ROLLING_OUT,
        ROLLOUT_HALTED,
        VOLUMES_GROWING,
        ONLY_COPY,
        VOLUME_LOST,
        VOLUME_UNKNOWN,
        STOPPING,
    ];
}
