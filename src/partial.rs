//! The parts of objects that the operator reads. Nothing else of them is decoded or kept.

use cachebus_api::{CacheBus, CacheBusStatus};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::api::{ObjectMeta, TypeMeta};
use serde::{Deserialize, Serialize};

/// A bus without its spec, which may be one that cannot be decoded.
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(inherit = "CacheBus")]
pub struct PartialBus {
    /// Version and kind.
    #[serde(flatten)]
    pub types: TypeMeta,
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Status.
    pub status: Option<CacheBusStatus>,
}

/// A pod, in part.
#[derive(Clone, Debug, Default, Deserialize, Resource)]
#[resource(inherit = "Pod")]
pub struct PartialPod {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(default)]
    pub spec: PodSpec,
    /// What became of it.
    #[serde(default)]
    pub status: PodStatus,
}

/// What was asked for of a pod, in part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// Node it runs on, once it has one.
    pub node_name: Option<Box<str>>,
    /// Containers.
    #[serde(default)]
    pub containers: Box<[Container]>,
}

/// What was asked for of a container, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Container {
    /// Resources.
    #[serde(default)]
    pub resources: ContainerResources,
}

/// Resources of a container, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ContainerResources {
    /// What it must not exceed.
    #[serde(default)]
    pub limits: ContainerLimits,
}

/// What a container must not exceed, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ContainerLimits {
    /// Bytes.
    pub memory: Option<Box<str>>,
}

/// What became of a pod, in part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: Option<Box<str>>,
    /// Address, once it has one.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<Box<str>>,
    /// Conditions.
    #[serde(default)]
    pub conditions: Box<[PodCondition]>,
    /// Init containers.
    #[serde(default)]
    pub init_container_statuses: Box<[ContainerStatus]>,
    /// Containers.
    #[serde(default)]
    pub container_statuses: Box<[ContainerStatus]>,
}

/// A condition of a pod, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PodCondition {
    /// Which.
    #[serde(rename = "type")]
    pub type_: Box<str>,
    /// `True`, `False` or `Unknown`.
    pub status: Box<str>,
    /// Why, in one word.
    pub reason: Option<Box<str>>,
    /// Why, for people.
    pub message: Option<Box<str>>,
}

/// A container, in part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Its name.
    pub name: Box<str>,
    /// Its state.
    #[serde(default)]
    pub state: ContainerState,
    /// Its state before it was started again.
    #[serde(default)]
    pub last_state: ContainerState,
}

/// The state of a container, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ContainerState {
    /// It has not started.
    pub waiting: Option<WaitingContainer>,
    /// It has ended.
    pub terminated: Option<EndedContainer>,
}

/// Why a container has not started.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct WaitingContainer {
    /// In one word.
    pub reason: Option<Box<str>>,
    /// For people.
    pub message: Option<Box<str>>,
}

/// How a container has ended.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedContainer {
    /// Exit code.
    pub exit_code: i32,
    /// In one word.
    pub reason: Option<Box<str>>,
    /// What it said, or the end of its log.
    pub message: Option<Box<str>>,
    /// When.
    pub finished_at: Option<Time>,
}

/// A StatefulSet, in part.
#[derive(Clone, Debug, Default, Deserialize, Resource)]
#[resource(inherit = "StatefulSet")]
pub struct PartialStatefulSet {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(default)]
    pub spec: StatefulSetSpec,
    /// What became of it.
    #[serde(default)]
    pub status: StatefulSetStatus,
}

impl PartialPod {
    /// The memory limit of its one container, as Kubernetes prints it.
    pub fn memory_limit(&self) -> Option<&str> {
        let container = self.spec.containers.first()?;
        container.resources.limits.memory.as_deref()
    }
}

impl PartialStatefulSet {
    /// What its claim template asks for.
    pub fn claim(&self) -> Option<&ClaimSpec> {
        let claim = self.spec.volume_claim_templates.first()?;
        Some(&claim.spec)
    }
}

/// A `PersistentVolumeClaim`, in part.
#[derive(Clone, Debug, Default, Deserialize, Resource)]
#[resource(inherit = "PersistentVolumeClaim")]
pub struct PartialClaim {
    /// Metadata.
    pub metadata: ObjectMeta,
    /// What was asked for.
    #[serde(default)]
    pub spec: ClaimSpec,
    /// What became of it.
    #[serde(default)]
    pub status: ClaimStatus,
}

/// What became of a claim, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ClaimStatus {
    /// What there is.
    #[serde(default)]
    pub capacity: ClaimRequests,
    /// Conditions.
    #[serde(default)]
    pub conditions: Box<[ClaimCondition]>,
}

/// A condition of a claim, in part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimCondition {
    /// Which.
    #[serde(rename = "type")]
    pub type_: Box<str>,
    /// `True`, `False` or `Unknown`.
    pub status: Box<str>,
    /// Since when.
    pub last_transition_time: Option<Time>,
    /// Why, for people.
    pub message: Option<Box<str>>,
}

/// What was asked for of a StatefulSet, in part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatefulSetSpec {
    /// The claims of each pod.
    #[serde(default)]
    pub volume_claim_templates: Box<[Claim]>,
}

/// A claim, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Claim {
    /// What was asked for.
    #[serde(default)]
    pub spec: ClaimSpec,
}

/// What was asked for of a claim, in part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClaimSpec {
    /// Storage class.
    pub storage_class_name: Option<Box<str>>,
    /// The volume that it got.
    pub volume_name: Option<Box<str>>,
    /// Resources.
    #[serde(default)]
    pub resources: ClaimResources,
}

/// Resources of a claim, in part.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ClaimResources {
    /// What there must be.
    #[serde(default)]
    pub requests: ClaimRequests,
}

/// What a claim must have, or has.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ClaimRequests {
    /// Bytes.
    pub storage: Option<Box<str>>,
}

/// What became of a StatefulSet, in part.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatefulSetStatus {
    /// Revision that new pods are made from.
    pub update_revision: Option<Box<str>>,
    /// Generation that the rest of the status speaks of.
    pub observed_generation: Option<i64>,
}
